// What a person does and sees on the page.
import assert from 'node:assert/strict';

export const text = (page) => page.locator('.answer .text').last();
export const composer = (page) => page.locator('textarea');

/** Changes the page's requests on their way, so that an answer is as long as a test needs. */
export async function tune(page, fields) {
    await page.unroute('**/v1/chat/completions').catch(() => undefined);
    page.bodies = [];
    await page.route('**/v1/chat/completions', (route) => {
        const body = route.request().postDataJSON();
        page.bodies.push(body);
        return route.continue({ postData: JSON.stringify({ ...body, ...fields }) });
    });
}

/** Answers in the server's place: for what it can not be made to say. */
export function answerWith(page, answer) {
    return page.route('**/v1/chat/completions', (route) => route.fulfill(answer), { times: 1 });
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
    await page.waitForSelector('.answer:last-child .facts');
    assert.equal(await page.locator('[role=alert]').count(), 0);
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
