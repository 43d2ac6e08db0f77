/**
 * What an answer consists of, as the page shows it: plain data without a string of markup in it.
 * Addresses in here are those that may be opened (`address.ts`); everything else became text.
 */
export type Inline =
    | { type: 'text'; text: string }
    | { type: 'code'; text: string }
    | { type: 'break' }
    | { type: 'strong'; children: Inline[] }
    | { type: 'emphasis'; children: Inline[] }
    | { type: 'deleted'; children: Inline[] }
    | { type: 'link'; url: string; children: Inline[] }
    | { type: 'image'; url: string; alt: string };

export interface ListItem {
    checked: boolean | null; // null: not a task
    children: Block[];
}

export type Align = 'left' | 'right' | 'center' | null;

export type Block =
    | { type: 'paragraph'; children: Inline[] }
    | { type: 'heading'; depth: number; children: Inline[] }
    | { type: 'code'; language: string; text: string }
    | { type: 'quote'; children: Block[] }
    | { type: 'list'; ordered: boolean; start: number; tight: boolean; items: ListItem[] }
    | { type: 'table'; align: Align[]; head: Inline[][]; rows: Inline[][][] }
    | { type: 'rule' }
    | { type: 'raw'; text: string }; // HTML, and what is nested too deeply: shown as written
