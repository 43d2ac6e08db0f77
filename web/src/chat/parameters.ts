import type { Parameters } from '../api/wire';

export interface ParameterRow {
    name: 'temperature' | 'top_p' | 'max_tokens' | 'seed';
    least: number;
    most: number;
    step: number;
    whole: boolean;
}

/** What may be set on the page, within the server's own limits. */
export const PARAMETERS: ParameterRow[] = [
    { name: 'temperature', least: 0, most: 2, step: 0.1, whole: false },
    { name: 'top_p', least: 0, most: 1, step: 0.05, whole: false },
    { name: 'max_tokens', least: 1, most: 1_000_000, step: 1, whole: true },
    { name: 'seed', least: 0, most: 2 ** 31 - 1, step: 1, whole: true },
];

export type Typed = Record<ParameterRow['name'], string>;
export type Fault = 'range' | 'whole' | null;

export function typed(parameters: Parameters): Typed {
    const text = (value: unknown) => (typeof value === 'number' ? String(value) : '');
    return Object.fromEntries(PARAMETERS.map(({ name }) => [name, text(parameters[name])])) as Typed;
}

/** What is wrong with what stands in a field; an empty one is right. */
export function faultOf({ least, most, whole }: ParameterRow, text: string): Fault {
    if (text.trim() === '') return null;
    const value = Number(text);
    if (!Number.isFinite(value) || value < least || value > most) return 'range';
    return whole && !Number.isInteger(value) ? 'whole' : null;
}

/** The parameters with what stands in the fields; those that have no field stay. */
export function withTyped(parameters: Parameters, fields: Typed): Parameters {
    const out: Parameters = { ...parameters };
    for (const { name } of PARAMETERS) {
        delete out[name];
        if (fields[name].trim() !== '') out[name] = Number(fields[name]);
    }
    return out;
}
