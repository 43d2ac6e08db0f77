import { keep, kept } from '../kept';

const CHARACTERS_MAX = 100_000;
const name = (session: string | null) => `draft.${session ?? 'new'}`;

/** What was typed and not sent, for each session; null is the new chat. Survives a reload. */
export const drafts = {
    of: (session: string | null): string => kept(name(session)) ?? '',
    set: (session: string | null, text: string): void =>
        keep(name(session), text === '' ? null : text.slice(0, CHARACTERS_MAX)),
};
