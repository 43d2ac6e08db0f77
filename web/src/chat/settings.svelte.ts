import { keep, kept } from '../kept';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

function isTheme(value: string | null): value is Theme {
    return (THEMES as readonly (string | null)[]).includes(value);
}

/** How this browser shows the page. */
class Settings {
    theme = $state<Theme>('system');
    sidebar = $state(kept('sidebar') !== 'hidden'); // where there is room for it

    constructor() {
        const theme = kept('theme');
        if (isTheme(theme)) this.theme = theme;
    }

    chooseTheme(theme: Theme): void {
        this.theme = theme;
        keep('theme', theme === 'system' ? null : theme);
    }

    toggleSidebar(): void {
        this.sidebar = !this.sidebar;
        keep('sidebar', this.sidebar ? null : 'hidden');
    }
}

export const settings = new Settings();
