import { expect, it } from 'vitest';
import { faultOf, PARAMETERS, typed, withTyped } from './parameters';

const [temperature, , maxTokens] = PARAMETERS;

it('reads and writes fields, and leaves alone what has none', () => {
    const before = { temperature: 0.6, repetition_penalty: 1.1, seed: 'x' as unknown as number };
    expect(typed(before)).toEqual({ temperature: '0.6', top_p: '', max_tokens: '', seed: '' });
    expect(withTyped(before, { temperature: '', top_p: ' 0.5 ', max_tokens: '', seed: '7' })).toEqual({
        repetition_penalty: 1.1,
        top_p: 0.5,
        seed: 7,
    });
});
it('says what is wrong with a number', () => {
    if (!temperature || !maxTokens) throw new Error();
    for (const text of ['', ' ', '0', '2', '0.7', '1e0']) expect(faultOf(temperature, text)).toBe(null);
    for (const text of ['-0.1', '2.1', 'x', 'Infinity', 'NaN', '0,7']) expect(faultOf(temperature, text)).toBe('range');
    expect(faultOf(maxTokens, '1.5')).toBe('whole');
    expect(faultOf(maxTokens, '0')).toBe('range');
});
