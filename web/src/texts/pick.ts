import { en, type Texts } from './en';
import { zh } from './zh';

export const TEXTS = { en, zh } satisfies Record<string, Texts>;
export type Language = keyof typeof TEXTS;

function isLanguage(value: string | null): value is Language {
    return value !== null && Object.hasOwn(TEXTS, value);
}

/** What the person chose before, or the first language of the browser that there are texts for. */
export function pickLanguage(kept: string | null, preferred: readonly string[]): Language {
    if (isLanguage(kept)) return kept;
    for (const tag of preferred) {
        const language = tag.toLowerCase().split('-')[0] ?? '';
        if (isLanguage(language)) return language;
    }
    return 'en';
}
