import type { WireSession } from '../api/wire';

export type GroupName = 'today' | 'yesterday' | 'lastWeek' | 'earlier';

export interface Group {
    name: GroupName;
    sessions: WireSession[];
}

/** The sessions by the day of their last use, in the time zone of the browser. */
export function grouped(sessions: readonly WireSession[], now: Date): Group[] {
    const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
    const since = (days: number) => new Date(midnight).setDate(midnight.getDate() - days) / 1000;
    const nameOf = ({ updated }: WireSession): GroupName => {
        if (updated >= since(0)) return 'today';
        if (updated >= since(1)) return 'yesterday';
        return updated >= since(7) ? 'lastWeek' : 'earlier';
    };
    const groups: Group[] = [];
    for (const session of sessions) {
        const name = nameOf(session);
        const group = groups.find((one) => one.name === name);
        if (group) group.sessions.push(session);
        else groups.push({ name, sessions: [session] });
    }
    return groups;
}
