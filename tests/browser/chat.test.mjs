import assert from 'node:assert/strict';
import { begin, pageTest, shared } from './fixture.mjs';
import { ENDLESS, answered, ask, becomes, composer, settled, shows, stored, text, tune } from './steps.mjs';

begin();

pageTest('an answer grows while it comes, and is counted', {}, async (page) => {
    await tune(page, { ignore_eos: true, max_tokens: 600 });
    await page.evaluate(() => {
        window.lengths = new Set();
        new MutationObserver(() => window.lengths.add(document.querySelector('.answer .text')?.textContent.length)).observe(
            document.body,
            { subtree: true, childList: true, characterData: true },
        );
    });
    await ask(page, 'What is gravity?');
    await answered(page);
    assert.ok((await page.evaluate(() => window.lengths.size)) > 3);
    assert.match(await page.textContent('.facts p'), /600 tokens.*\d tokens\/s/);
    assert.equal(await page.textContent('.question .bubble'), 'What is gravity?');
    await becomes(() => page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
    const [question, answer] = (await stored(page, shared.server.url)).data;
    assert.equal(question.content, 'What is gravity?');
    // Told to a screen reader once it is whole, not token by token.
    await becomes(async () => (await page.textContent('#spoken')).trim(), answer.content.slice(0, 2000).trim());
    assert.equal(await page.locator('[role=status] .text, .text[aria-live]').count(), 0);
    await becomes(() => page.textContent('.state'), 'ready');
});

pageTest('stop keeps the text, by the button and by Escape', {}, async (page) => {
    await tune(page, ENDLESS);
    await ask(page, 'Tell me everything.');
    await shows(page, 20);
    await page.click('button[aria-label=Stop]');
    await page.waitForSelector('.facts:has-text("Stopped")');
    const kept = await text(page).textContent();
    assert.ok(kept.length > 20);
    await ask(page, 'Once more.');
    await shows(page, 20);
    await page.keyboard.press('Escape');
    await page.waitForSelector('.answer:last-child .facts:has-text("Stopped")');
    const { data } = await stored(page, shared.server.url);
    assert.deepEqual(data.map((message) => [message.role, message.status]), [
        ['user', 'complete'],
        ['assistant', 'cancelled'],
        ['user', 'complete'],
        ['assistant', 'cancelled'],
    ]);
});

pageTest('examples ask', { fakeOnly: true }, async (page) => {
    await tune(page, { max_tokens: 5 });
    await page.click('text=Give me five ideas');
    await answered(page);
    assert.match(await page.textContent('.bubble'), /^Give me five ideas/);
});

pageTest('Enter sends, Shift+Enter and an input method do not', { fakeOnly: true }, async (page) => {
    await tune(page, { max_tokens: 5 });
    await composer(page).pressSequentially('one');
    await composer(page).press('Shift+Enter');
    await composer(page).pressSequentially('two');
    const composing = { key: 'Enter', isComposing: true, bubbles: true, cancelable: true };
    await composer(page).dispatchEvent('keydown', composing);
    assert.equal(await page.locator('.question').count(), 0);
    await composer(page).press('Enter');
    await answered(page);
    assert.equal(await page.textContent('.bubble'), 'one\ntwo');
    assert.equal(await composer(page).inputValue(), '');
    await composer(page).press('Enter');
    assert.equal(await page.locator('.question').count(), 1);
});

const small = { fakeOnly: true, viewport: { width: 480, height: 420 } };
pageTest('the view follows the end until the person scrolls up', small, async (page) => {
    const main = (read) => page.$eval('main', read);
    const atEnd = () => main((one) => one.scrollHeight - one.clientHeight - one.scrollTop < 60);
    await tune(page, ENDLESS);
    await ask(page, 'Fill the page.');
    await shows(page, 600);
    await becomes(atEnd, true);
    await page.mouse.move(240, 200);
    await page.mouse.wheel(0, -150);
    await page.waitForSelector('text=To the latest');
    const top = await settled(() => main((one) => one.scrollTop)); // a wheel turns smoothly
    const length = (await text(page).textContent()).length;
    await shows(page, length + 100);
    assert.equal(await main((one) => one.scrollTop), top);
    await page.click('text=To the latest');
    await page.waitForSelector('text=To the latest', { state: 'detached' });
    await shows(page, length + 300);
    await becomes(atEnd, true);
    await page.keyboard.press('Escape');
    await page.waitForSelector('.facts:has-text("Stopped")');
});

pageTest('parameters and the system message are stored in the session', { fakeOnly: true }, async (page) => {
    await page.getByRole('button', { name: 'Parameters' }).click();
    await page.getByLabel('Temperature').fill('3');
    assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
    await page.getByLabel('Temperature').fill('0');
    await page.getByLabel('Longest answer').fill('7');
    await page.getByRole('textbox', { name: 'System message' }).fill('Be brief.');
    await page.getByRole('button', { name: 'Save' }).click();
    await ask(page, 'Hello');
    await answered(page);
    let { session } = await stored(page, shared.server.url);
    assert.equal(session.system, 'Be brief.');
    assert.equal(session.parameters.temperature, 0);
    assert.equal(session.parameters.max_tokens, 7);
    await page.getByRole('button', { name: 'Parameters, with a system message' }).click();
    assert.equal(await page.getByLabel('Longest answer').inputValue(), '7');
    await page.getByLabel('Longest answer').fill('');
    await page.getByRole('textbox', { name: 'System message' }).fill('');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.waitForSelector('dialog', { state: 'detached' });
    await becomes(async () => (await stored(page, shared.server.url)).session.system, null);
    ({ session } = await stored(page, shared.server.url));
    assert.equal(session.parameters.max_tokens, undefined);
});
