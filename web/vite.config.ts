import { svelte } from '@sveltejs/vite-plugin-svelte';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// In a browser this package would decode "&amp;" by innerHTML; its other half looks it up in a table.
const entities = fileURLToPath(new URL('node_modules/decode-named-character-reference/index.js', import.meta.url));

export default defineConfig({
    plugins: [svelte()],
    resolve: {
        alias: { 'decode-named-character-reference': entities },
        // Tests mount components, which Svelte has for browsers only.
        ...(process.env.VITEST ? { conditions: ['browser'] } : {}),
    },
    build: {
        target: 'es2022',
        assetsInlineLimit: 0, // every file by its own hashed name
        modulePreload: { polyfill: false },
    },
    // `npx vite` passes what is not the page on to a server that runs beside it.
    server: {
        proxy: Object.fromEntries(
            ['/v1', '/sessions', '/chat'].map((path) => [path, { target: 'http://127.0.0.1:3000', ws: true }]),
        ),
    },
});
