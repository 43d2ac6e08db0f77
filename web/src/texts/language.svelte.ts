import type { Texts } from './en';
import { pickLanguage, TEXTS, type Language } from './pick';

const KEY = 'dunlin.language';

function kept(): string | null {
    try {
        return localStorage.getItem(KEY);
    } catch {
        return null; // a browser that keeps nothing
    }
}

class Chosen {
    language = $state<Language>(pickLanguage(kept(), navigator.languages));

    get texts(): Texts {
        return TEXTS[this.language];
    }

    choose(language: Language): void {
        this.language = language;
        try {
            localStorage.setItem(KEY, language);
        } catch {
            // Then it holds until the page is closed.
        }
    }
}

export const chosen = new Chosen();
export const languages = Object.entries(TEXTS).map(([id, texts]) => ({
    id: id as Language,
    name: texts.language,
}));
