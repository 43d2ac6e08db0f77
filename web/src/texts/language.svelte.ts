import { keep, kept } from '../kept';
import type { Texts } from './en';
import { pickLanguage, TEXTS, type Language } from './pick';

class Chosen {
    language = $state<Language>(pickLanguage(kept('language'), navigator.languages));

    get texts(): Texts {
        return TEXTS[this.language];
    }

    choose(language: Language): void {
        this.language = language;
        keep('language', language);
    }
}

export const chosen = new Chosen();
export const languages = Object.entries(TEXTS).map(([id, texts]) => ({
    id: id as Language,
    name: texts.language,
}));
