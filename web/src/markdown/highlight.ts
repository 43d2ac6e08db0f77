import type { ElementContent, RootContent } from 'hast';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import markdown from 'highlight.js/lib/languages/markdown';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { createLowlight } from 'lowlight';

const LANGUAGES = { bash, c, cpp, css, diff, go, java, javascript, json, markdown, python, rust, sql, typescript, xml, yaml };
const CHARACTERS_MAX = 30_000; // it is done anew whenever the code grows

const lowlight = createLowlight(LANGUAGES);

/** A stretch of code; `kind` is the class of highlight.js, or empty. */
export interface Span {
    kind: string;
    text: string;
}

/** The code in stretches of one colour. One stretch where the language is not known. */
export function highlight(code: string, language: string): Span[] {
    const name = language.toLowerCase();
    if (code.length > CHARACTERS_MAX || !lowlight.registered(name)) return [{ kind: '', text: code }];
    return [...spans(lowlight.highlight(name, code).children, '')];
}

function* spans(nodes: readonly (RootContent | ElementContent)[], kind: string): Generator<Span> {
    for (const node of nodes) {
        if (node.type === 'text') yield { kind, text: node.value };
        if (node.type !== 'element') continue;
        const names = node.properties.className;
        yield* spans(node.children, Array.isArray(names) ? names.join(' ') : kind);
    }
}
