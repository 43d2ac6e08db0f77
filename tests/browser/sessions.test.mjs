// The sidebar and the branches, on conversations that were there before and on new ones.
import assert from 'node:assert/strict';
import { begin, pageTest, shared } from './fixture.mjs';
import { ENDLESS, answered, ask, becomes, choose, composer, row, rows, settled, shows, stored, text, tune } from './steps.mjs';

const said = (count) =>
    Array.from({ length: count }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: `${i % 2 ? 'answer' : 'question'} ${i}` }));
const sessions = { long: said(120) };
for (let i = 0; i < 70; ++i) sessions[`s${i}`] = [{ role: 'user', content: `chat number ${i}` }, { role: 'assistant', content: `about ${i * 11}` }];
begin({ sessions });

const SHORT = { ignore_eos: true, max_tokens: 12 };
const bubbles = (page) => page.locator('.bubble').allTextContents();

pageTest('new, switch, rename, delete with undo, reload', {}, async (page) => {
    await tune(page, SHORT);
    await ask(page, 'The first of mine');
    await answered(page);
    await row(page, 'The first of mine').waitFor();
    const first = page.url();
    assert.match(first, /#\/s\/sess_/);
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.waitForSelector('text=What would you like to know?');
    await ask(page, 'The second of mine');
    await answered(page);
    await row(page, 'The first of mine').locator('a').click();
    await page.waitForFunction(() => document.querySelector('.bubble')?.textContent === 'The first of mine');
    await page.goBack();
    await page.waitForFunction(() => document.querySelector('.bubble')?.textContent === 'The second of mine');
    await page.reload();
    await page.waitForFunction(() => document.querySelector('.bubble')?.textContent === 'The second of mine');

    const second = row(page, 'The second of mine');
    await second.hover();
    await choose(page, second.getByRole('button'), 'Rename');
    await page.getByLabel('Title', { exact: true }).fill('Other name');
    await page.keyboard.press('Enter');
    await row(page, 'Other name').waitFor();
    await becomes(async () => (await stored(page, shared.server.url)).session.title, 'Other name');

    const id = page.url().split('/').at(-1);
    const status = async () => (await fetch(`${shared.server.url}/sessions/${id}`)).status;
    const remove = async () => {
        await row(page, 'Other name').hover();
        await choose(page, row(page, 'Other name').getByRole('button'), 'Delete');
        await row(page, 'Other name').waitFor({ state: 'detached' });
    };
    await remove();
    await page.waitForSelector('text=What would you like to know?');
    await page.click('text=Undo');
    await row(page, 'Other name').waitFor();
    await page.waitForSelector('.bubble');
    assert.equal(await status(), 200);
    await remove();
    await page.hover('text=Undo');
    await page.waitForTimeout(11_000);
    assert.equal(await status(), 200, 'there is time for whoever is about to undo');
    await page.mouse.move(600, 300);
    await becomes(status, 404);
    await page.reload();
    await rows(page).first().waitFor();
    assert.equal(await row(page, 'Other name').count(), 0);
});

pageTest('a deletion is done when the page is left', { fakeOnly: true }, async (page) => {
    await tune(page, SHORT);
    await ask(page, 'Leave with me');
    await answered(page);
    const id = page.url().split('/').at(-1);
    await row(page, 'Leave with me').hover();
    await choose(page, row(page, 'Leave with me').getByRole('button'), 'Delete');
    await page.reload();
    await rows(page).first().waitFor();
    await becomes(async () => (await fetch(`${shared.server.url}/sessions/${id}`)).status, 404);
});

pageTest('search looks in messages too, and the list has pages', { fakeOnly: true }, async (page) => {
    await rows(page).first().waitFor();
    assert.equal(await rows(page).count(), 50);
    await page.locator('#chats').hover();
    await becomes(async () => {
        await page.mouse.wheel(0, 1000);
        return (await rows(page).count()) >= 70;
    }, true);
    await page.keyboard.press('Control+k');
    await becomes(() => page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Search chats');
    await page.keyboard.type('about 473');
    await page.waitForFunction(() => document.querySelectorAll('#chats li').length === 1);
    assert.match(await rows(page).textContent(), /chat number 43/);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('text=about 473');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('no such thing');
    await page.waitForSelector('text=No chat has these words.');
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.querySelectorAll('#chats li').length >= 50);
});

pageTest('arrows walk in the list, F2 renames, Delete deletes', { fakeOnly: true }, async (page) => {
    await rows(page).first().waitFor();
    const titles = await page.locator('#chats a').allTextContents();
    const at = () => page.evaluate(() => document.activeElement.textContent);
    await page.locator('#chats a').first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await becomes(at, titles[2]);
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('F2');
    await page.getByLabel('Title', { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await becomes(at, titles[1]);
    await page.keyboard.press('Delete');
    await becomes(at, titles[2]);
    await page.keyboard.press('Control+z');
    await row(page, titles[1]).first().waitFor();
});

pageTest('every chat\'s menu can be reached by keyboard', { fakeOnly: true }, async (page) => {
    await rows(page).first().waitFor();
    const titles = await page.locator('#chats a').allTextContents();
    const label = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim());
    await page.locator('#chats a').first().focus();
    for (let i = 0; i < 3; ++i) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Tab');
    const menu = `Menu of “${titles[3].trim()}”`;
    const first = async () => /^Rename/.test(await label());
    await becomes(label, menu);
    await page.keyboard.press('Enter');
    await becomes(first, true);
    await page.keyboard.press('Escape');
    await becomes(label, menu);
    await page.keyboard.press('Shift+Tab');
    await becomes(label, titles[3].trim());
    await page.keyboard.press('Shift+F10');
    await becomes(first, true);
});

pageTest('whoever goes on by keyboard is never sent back to the top', { fakeOnly: true }, async (page) => {
    const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName);
    const focused = (wanted) => becomes(focus, wanted);
    await tune(page, SHORT);
    await ask(page, 'Where is my focus?');
    await answered(page);
    await page.getByRole('button', { name: 'Another answer' }).press('Enter');
    await focused('Ask something');
    await page.waitForSelector('.answer .branches:has-text("2/2")');
    await answered(page);
    await page.getByRole('button', { name: 'Previous version' }).press('Enter');
    await focused('Next version'); // there is none before the first
    await page.locator('.question').hover();
    await page.getByRole('button', { name: 'Edit', exact: true }).press('Enter');
    await page.keyboard.press('Enter');
    await focused('Ask something');
    await answered(page);
    await page.getByRole('button', { name: 'Parameters' }).press('Enter');
    await page.getByLabel('Seed').press('Enter');
    await focused('Parameters');
    await page.getByRole('button', { name: 'Hide the chats' }).press('Enter');
    await focused('Show the chats');
    await page.getByRole('button', { name: 'Show the chats' }).press('Enter');
    await focused('Hide the chats');
    await page.getByLabel('Search chats').fill('focus');
    await page.getByRole('button', { name: 'Clear the search' }).press('Enter');
    await focused('Search chats');
});

pageTest('the arrows between versions stay below the pointer', { fakeOnly: true }, async (page) => {
    await tune(page, { ignore_eos: true, max_tokens: 400 });
    await ask(page, 'A long answer');
    await answered(page);
    await tune(page, SHORT);
    await ask(page, 'A second question');
    await page.waitForFunction(() => document.querySelectorAll('.bubble').length === 2);
    await answered(page);
    await page.locator('.question').first().hover();
    await page.getByRole('button', { name: 'Edit', exact: true }).first().click();
    await page.getByLabel('Edit the question').fill('A short answer');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.question .branches:has-text("2/2")');
    await shows(page, 100);
    await page.keyboard.press('Escape');
    await answered(page);
    for (const [name, version] of [['Previous version', '1/2'], ['Next version', '2/2'], ['Previous version', '1/2']]) {
        const button = page.locator('.question').first().getByRole('button', { name });
        await button.scrollIntoViewIfNeeded();
        const before = await button.boundingBox();
        await button.click();
        await page.waitForSelector(`.question .branches:has-text("${version}")`);
        const after = await settled(() => page.locator('.question').first().getByRole('button', { name }).boundingBox());
        assert.ok(Math.abs(after.y - before.y) < 2, `moved by ${after.y - before.y}`);
    }
});

pageTest('earlier messages come when the person scrolls up, and nothing jumps', { fakeOnly: true, path: '/#/s/long' }, async (page) => {
    await page.waitForSelector('text=answer 119');
    assert.ok((await page.locator('ol > li').count()) <= 50);
    const main = page.locator('main');
    await main.hover();
    // Slow enough that places are compared both while a page is under way and after it came.
    await page.route(/\/chat\/history\/.*before=/, async (route) => {
        await new Promise((go) => setTimeout(go, 450));
        await route.continue();
    });
    for (let pages = 0; pages < 40 && (await page.locator('text="question 0"').count()) === 0; ++pages) {
        const seen = await main.evaluate((one) => {
            one.scrollTop = 500; // the page hears of it after this function
            const top = one.getBoundingClientRect().top;
            const item = [...one.querySelectorAll('ol > li')].find((li) => li.getBoundingClientRect().top >= top);
            window.seen = item;
            return item.getBoundingClientRect().top;
        });
        await page.waitForTimeout(300);
        const now = await page.evaluate(() => window.seen.getBoundingClientRect().top);
        assert.ok(Math.abs(now - seen) < 2, `moved by ${now - seen}`);
    }
    assert.equal(await page.locator('ol > li').count(), 120);
});

pageTest('regenerate and edit make branches that can be switched', {}, async (page) => {
    await tune(page, { ...SHORT, temperature: 1 });
    await ask(page, 'Original question');
    await answered(page);
    await page.getByRole('button', { name: 'Another answer' }).click();
    await page.waitForSelector('.answer .branches:has-text("2/2")');
    await answered(page);
    const second = await text(page).textContent();
    const shown = async () => (await stored(page, shared.server.url)).data[1];
    assert.equal((await shown()).siblings.indexOf((await shown()).id), 1);
    await page.getByRole('button', { name: 'Previous version' }).click();
    await page.waitForSelector('.answer .branches:has-text("1/2")');
    assert.equal((await shown()).siblings.indexOf((await shown()).id), 0);
    await page.getByRole('button', { name: 'Next version' }).click();
    await page.waitForSelector('.answer .branches:has-text("2/2")');
    assert.equal(await text(page).textContent(), second);

    await page.locator('.question').hover();
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    await page.getByLabel('Edit the question').fill('Edited question');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.question .branches:has-text("2/2")');
    await answered(page);
    assert.deepEqual(await bubbles(page), ['Edited question']);
    await page.reload();
    await page.waitForSelector('.question .branches:has-text("2/2")');
    await page.locator('.question').getByRole('button', { name: 'Previous version' }).click();
    await page.waitForFunction(() => document.querySelector('.bubble').textContent === 'Original question');
});

pageTest('going back takes off what is below, after a question', { fakeOnly: true }, async (page) => {
    await tune(page, SHORT);
    for (const question of ['one', 'two', 'three']) {
        await ask(page, question);
        await page.waitForFunction((text) => [...document.querySelectorAll('.bubble')].at(-1).textContent === text, question);
        await answered(page);
    }
    await page.locator('.answer').first().hover();
    await choose(page, page.locator('.answer').first().getByRole('button', { name: 'More' }), 'Go back to here');
    assert.match(await page.textContent('dialog'), /The 4 messages below/);
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.equal(await page.locator('.question').count(), 3);
    await choose(page, page.locator('.answer').first().getByRole('button', { name: 'More' }), 'Go back to here');
    await page.locator('dialog').getByRole('button', { name: 'Go back to here' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.question').length === 1);
    await becomes(async () => (await stored(page, shared.server.url)).data.length, 2);
    await page.click('text=Undo');
    await page.waitForFunction(() => document.querySelectorAll('.question').length === 3);
    await becomes(async () => (await stored(page, shared.server.url)).data.length, 6);
});

pageTest('what was typed and not sent survives a reload, for each chat', { fakeOnly: true }, async (page) => {
    await composer(page).fill('a new thought');
    await row(page, 'question 0').or(rows(page).first()).first().locator('a').click();
    await page.waitForSelector('.bubble');
    assert.equal(await composer(page).inputValue(), '');
    await composer(page).fill('here, another');
    await page.reload();
    await page.waitForSelector('.bubble');
    assert.equal(await composer(page).inputValue(), 'here, another');
    await page.getByRole('button', { name: 'New chat' }).click();
    assert.equal(await composer(page).inputValue(), 'a new thought');
});

pageTest('an answer goes on while another chat is shown', { fakeOnly: true }, async (page) => {
    await tune(page, ENDLESS);
    await ask(page, 'Take your time');
    await shows(page, 20);
    const id = page.url().split('/').at(-1);
    await page.getByRole('button', { name: 'New chat' }).click();
    await row(page, 'Take your time').locator('.busy').waitFor();
    const history = async () => (await fetch(`${shared.server.url}/chat/history/${id}`)).json();
    await becomes(async () => (await history()).data.at(-1).content.length > 300, true);
    await row(page, 'Take your time').locator('a').click();
    await shows(page, 300);
    await page.keyboard.press('Escape');
    await page.waitForSelector('.facts:has-text("Stopped")');
});

pageTest('another window sees the chat when it comes to the front', { fakeOnly: true }, async (page) => {
    const other = await page.context().newPage();
    await other.goto(shared.server.url);
    await rows(other).first().waitFor();
    await tune(page, SHORT);
    await ask(page, 'Seen in two windows');
    await answered(page);
    await other.evaluate(() => window.dispatchEvent(new Event('focus')));
    await row(other, 'Seen in two windows').waitFor();
});
