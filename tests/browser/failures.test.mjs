import assert from 'node:assert/strict';
import { begin, pageTest, shared } from './fixture.mjs';
import { Cable, Server } from './server.mjs';
import { ENDLESS, answered, ask, becomes, composer, rows, shows, stored, text, tune } from './steps.mjs';

const KEY = 'sk-for-the-browser-tests';
let cable, limited, locked;
begin({
    also: async () => [
        (cable = await Cable.to(shared.server)),
        (limited = await Server.start({ environment: { DUNLIN_LIMITS__REQUESTS_PER_MINUTE: '1' } })),
        (locked = await Server.start({ keys: [{ name: 'browser', key: KEY }] })),
    ],
});
const LONG = { ignore_eos: true, max_tokens: 1500 };
const alert = (page) => page.locator('.answer:last-child [role=alert]').textContent();

const through = () => cable.url;

/** What the server has of the last answer, once it is whole. */
async function whole(page) {
    const last = async () => (await stored(page, shared.server.url)).data.at(-1);
    await becomes(async () => (await last())?.status, 'complete');
    return (await last()).content;
}

/** What stands on the page, as its Copy button gives it. */
async function copied(page) {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const button = page.locator('.answer').last().getByRole('button', { name: 'Copy', exact: true });
    await button.click();
    await button.getByText('Copied').waitFor({ state: 'attached' });
    return page.evaluate(() => navigator.clipboard.readText());
}

pageTest('a connection cut in mid-answer, again and again: nothing is lost, nothing comes twice', { through, fakeOnly: true }, async (page) => {
    await tune(page, LONG);
    await ask(page, 'Tell me everything.');
    for (const characters of [20, 150, 300]) {
        await shows(page, characters);
        cable.cut();
        cable.join();
    }
    await page.waitForSelector('.answer:last-child .facts.last');
    assert.equal(await copied(page), await whole(page));
});

pageTest('a connection that stays away is counted down, and comes back at a click', { through, fakeOnly: true }, async (page) => {
    await tune(page, LONG);
    await ask(page, 'Tell me everything.');
    await shows(page, 20);
    cable.cut();
    await page.waitForSelector('text=The answer goes on when it is back.');
    await page.waitForSelector('text=/Next try in ([5-9]|\\d\\d) s/'); // so that the click is first
    cable.join();
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.waitForSelector('text=Try now', { state: 'detached' });
    await page.waitForSelector('.answer:last-child .facts.last');
    assert.equal(await copied(page), await whole(page));
});

pageTest('a reload in mid-answer loses nothing', { fakeOnly: true }, async (page) => {
    await tune(page, LONG);
    await ask(page, 'Tell me everything.');
    await shows(page, 50);
    await page.reload();
    await shows(page, 50);
    await page.reload();
    await page.waitForSelector('.answer:last-child .facts.last');
    assert.equal(await page.locator('.question').count(), 1);
    assert.equal(await copied(page), await whole(page));
});

pageTest('a server that is killed in mid-answer, and is back', { fakeOnly: true }, async (page) => {
    const { port, data } = shared.server;
    await tune(page, ENDLESS);
    await ask(page, 'Tell me everything.');
    await shows(page, 20);
    await shared.server.kill();
    await page.waitForSelector('.state:has-text("offline")', { timeout: 20_000 }).catch(() => undefined);
    shared.server = await Server.start({ port, data });
    await page.waitForSelector('text=The server ended in the middle of this answer.');
    assert.equal(await page.textContent('.bubble'), 'Tell me everything.');
    await page.getByRole('button', { name: 'Another answer' }).click();
    await page.waitForSelector('.answer .branches:has-text("2/2")');
    await page.keyboard.press('Escape');
});

pageTest('a question that nobody takes is kept, told and sent again', { through, fakeOnly: true }, async (page) => {
    await tune(page, { ignore_eos: true, max_tokens: 20 });
    cable.cut();
    await ask(page, 'Are you there?');
    await page.waitForSelector('.answer:last-child [role=alert]');
    assert.match(await alert(page), /does not answer/);
    cable.join();
    await page.reload();
    await page.waitForSelector('text=What would you like to know?');
    assert.equal(await composer(page).inputValue(), 'Are you there?');
    await composer(page).press('Enter');
    await answered(page);
    assert.equal(await page.locator('.question').count(), 1);
    await page.reload();
    await page.waitForSelector('.bubble');
    assert.equal(await composer(page).inputValue(), '');
});

pageTest('a model that is not downloaded', {}, async (page) => {
    await page.selectOption('select', 'Qwen/Qwen2.5-0.5B-Instruct');
    await page.waitForSelector('.state:has-text("not downloaded")');
    await ask(page, 'Hello');
    await page.waitForSelector('.answer [role=alert]');
    assert.match(await alert(page), /This model is not downloaded\./);
    await page.getByRole('button', { name: 'Discard' }).click();
    assert.equal(await composer(page).inputValue(), 'Hello');
    assert.equal(await page.locator('.question').count(), 0);
});

pageTest('a text above the limit of characters', { fakeOnly: true }, async (page) => {
    await ask(page, 'x'.repeat(8193));
    await page.waitForSelector('.answer [role=alert]');
    assert.match(await alert(page), /8193.*8192/s);
});

pageTest('a message above the limit of the socket', { fakeOnly: true }, async (page) => {
    await ask(page, 'x'.repeat(1_100_000));
    await page.waitForSelector('.answer [role=alert]');
    assert.match(await alert(page), /longer than the model can read/);
});

pageTest('a chat that is not there', { fakeOnly: true, path: '/#/s/sess_000000000000000000000000' }, async (page) => {
    await page.waitForSelector('text=This chat is not there.');
    await page.locator('main').getByRole('button', { name: 'New chat' }).click();
    await page.waitForSelector('text=What would you like to know?');
});

pageTest('who asks too often is told how long to wait', { through: () => limited.url, fakeOnly: true }, async (page) => {
    await tune(page, { ignore_eos: true, max_tokens: 5 });
    await ask(page, 'One');
    await answered(page);
    await ask(page, 'Two');
    await page.waitForSelector('.answer [role=alert]');
    assert.match(await alert(page), /too often/);
    assert.match(await page.textContent('.retry'), /Try again in \d+ s/);
    assert.ok(await page.locator('.retry').isDisabled());
});

pageTest('a key is asked for, refused when it is wrong, and kept as chosen', { through: () => locked.url, fakeOnly: true }, async (page) => {
    await page.waitForSelector('dialog:has-text("This server wants an API key")');
    await page.getByRole('textbox', { name: 'API key' }).fill('wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog:has-text("does not take this key")');
    await page.getByRole('textbox', { name: 'API key' }).fill(KEY);
    await page.getByText('Keep it on this device').click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.waitForSelector('dialog', { state: 'detached' });
    await tune(page, { ignore_eos: true, max_tokens: 5 });
    await ask(page, 'Hello');
    await answered(page);
    await page.reload();
    await page.waitForSelector('.bubble');
    await rows(page).first().waitFor();
    assert.equal(await page.locator('dialog').count(), 0);
    assert.ok((await text(page).textContent()).length > 0);
    assert.ok(!page.url().includes(KEY));
});
