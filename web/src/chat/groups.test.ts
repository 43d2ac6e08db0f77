import { expect, it } from 'vitest';
import { wireSession } from './fake_sessions';
import { grouped } from './groups';

it('groups by the day of the last use', () => {
    const at = (...parts: [number, number, number, number]) => new Date(2026, parts[0], parts[1], parts[2], parts[3]).getTime() / 1000;
    const sessions = [at(2, 15, 9, 0), at(2, 15, 0, 0), at(2, 14, 23, 59), at(2, 14, 0, 0), at(2, 13, 23, 59), at(2, 8, 0, 0), at(2, 7, 23, 59)];
    const groups = grouped(
        sessions.map((updated, i) => wireSession(String(i), { updated })),
        new Date(2026, 2, 15, 10, 0),
    );
    expect(groups.map(({ name, sessions: all }) => `${name} ${all.map((one) => one.id).join('')}`)).toEqual([
        'today 01',
        'yesterday 23',
        'lastWeek 45',
        'earlier 6',
    ]);
    expect(grouped([], new Date())).toEqual([]);
});
