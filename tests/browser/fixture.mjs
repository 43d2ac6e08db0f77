// One browser and one server for a file of tests; a page for each test, which must end without faults.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { MODEL, Server } from './server.mjs';

const TEST_MS = 180_000;
export const shared = { browser: undefined, server: undefined };

before(async () => {
    shared.browser = await launch();
    shared.server = await Server.start();
});
after(async () => {
    await shared.browser?.close();
    await shared.server?.end();
});

/** A test on the fake model and on a real one; with `fakeOnly` not on the latter, to save minutes. */
export function pageTest(name, { fakeOnly = false, ...options }, run) {
    const skip = fakeOnly && MODEL !== 'fake' ? 'runs with the fake model' : false;
    test(name, { timeout: TEST_MS, skip }, async () => {
        const page = await openPage(shared.browser, shared.server.url, options);
        try {
            await run(page);
            assert.deepEqual(page.faults, []);
        } finally {
            await page.context().close();
        }
    });
}
