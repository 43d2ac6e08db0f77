import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
    plugins: [svelte()],
    build: {
        target: 'es2022',
        assetsInlineLimit: 0, // every file by its own hashed name
        modulePreload: { polyfill: false },
    },
    // `npx vite` passes what is not the page on to a server that runs beside it.
    server: { proxy: { '/v1': 'http://127.0.0.1:3000' } },
});
