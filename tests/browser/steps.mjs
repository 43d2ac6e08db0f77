// What a person does and sees on the page.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

const PATIENCE_MS = 60_000; // as long as the page's own waits: a machine may be slow, and wrong only where it stays so

export const text = (page) => page.locator('.answer .text').last();
export const composer = (page) => page.locator('form textarea');
export const rows = (page) => page.locator('#chats li');
export const row = (page, title) => rows(page).filter({ hasText: title });

/** An answer for as long as a test needs one under way: it stops it. */
export const ENDLESS = { ignore_eos: true, max_tokens: 8000 };

/** Changes the sessions that the page makes, so that an answer is as long as a test needs. */
export async function tune(page, parameters) {
    await page.unroute('**/sessions').catch(() => undefined);
    await page.route('**/sessions', (route) => {
        const body = route.request().postDataJSON();
        if (route.request().method() !== 'POST') return route.continue();
        return route.continue({ postData: JSON.stringify({ ...body, parameters: { ...body.parameters, ...parameters } }) });
    });
}

export async function ask(page, question) {
    await composer(page).fill(question);
    await composer(page).press('Enter');
}

/** Until the last answer shows more than so many characters. */
export async function shows(page, characters) {
    await page.waitForFunction(
        (least) => ([...document.querySelectorAll('.answer .text')].at(-1)?.textContent.length ?? 0) > least,
        characters,
    );
}

/** Until the last answer is over, without a failure. */
export async function answered(page) {
    await page.waitForSelector('.answer:last-child .facts.last');
    assert.equal(await page.locator('[role=alert]').count(), 0);
}

/** Until a look gives what is wanted. */
export async function becomes(look, wanted) {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(25))
        if (isDeepStrictEqual(await look(), wanted)) return;
    assert.deepEqual(await look(), wanted);
}

/** What a look gives once it gives the same for a fifth of a second. */
export async function settled(look) {
    let [seen, since] = [await look(), Date.now()];
    for (const end = Date.now() + PATIENCE_MS; Date.now() - since < 200 && Date.now() < end; await sleep(25)) {
        const now = await look();
        if (!isDeepStrictEqual(now, seen)) [seen, since] = [now, Date.now()];
    }
    return seen;
}

/** Chooses in the menu that a button opens. */
export async function choose(page, button, item) {
    await button.click();
    await page.getByRole('menuitem', { name: item }).click();
}

/** What the server has of the session that is shown. */
export async function stored(page, url) {
    const id = /#\/s\/(.+)$/.exec(page.url())[1];
    return (await fetch(`${url}/chat/history/${id}`)).json();
}

/** Whether anything sticks out to the right, in pixels. */
export const overhang = (page) =>
    page.evaluate(() =>
        Math.max(
            ...[document.documentElement, document.body, document.querySelector('main')].map(
                (element) => element.scrollWidth - element.clientWidth,
            ),
        ),
    );
