// One browser and one server for a file of tests; a page for each test, which must end without faults.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { MODEL, Server } from './server.mjs';

const TEST_MS = 180_000;
export const shared = { browser: undefined, server: undefined };

/**
 * `sessions`: conversations that the server begins with; `settings`: those of Server.start(); `also`
 * starts what else the file needs, and returns it as a list of things with end().
 */
export function begin({ sessions = null, also = () => [], ...settings } = {}) {
    let others = [];
    before(async () => {
        shared.browser = await launch();
        const data = sessions ? await Server.importSessions(sessions) : undefined;
        shared.server = await Server.start({ ...settings, ...(data ? { data } : {}) });
        others = await also(); // hooks of their own would not wait for this one
    });
    after(async () => {
        for (const other of others) await other.end();
        await shared.browser?.close();
        await shared.server?.end();
    });
}

/**
 * A test on the fake model and on a real one; with `fakeOnly` not on the latter, to save minutes.
 * `through` gives another address for the page than the server's own.
 */
export function pageTest(name, { fakeOnly = false, through = () => shared.server.url, ...options }, run) {
    const skip = fakeOnly && MODEL !== 'fake' ? 'runs with the fake model' : false;
    test(name, { timeout: TEST_MS, skip }, async () => {
        const page = await openPage(shared.browser, through(), options);
        try {
            await run(page);
            assert.deepEqual(page.faults, []);
        } finally {
            await page.context().close();
        }
    });
}
