import assert from 'node:assert/strict';
import { pageTest, shared } from './fixture.mjs';
import { answered, ask, composer, shows, text, tune } from './steps.mjs';

const LONG = { ignore_eos: true, max_tokens: 2000 };

pageTest('an answer grows while it comes, and is counted', {}, async (page) => {
    await tune(page, { ignore_eos: true, max_tokens: 30 });
    await page.evaluate(() => {
        window.lengths = new Set();
        new MutationObserver(() =>
            window.lengths.add(document.querySelector('.answer .text')?.textContent.length),
        ).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await ask(page, 'What is gravity?');
    await answered(page);
    assert.ok((await page.evaluate(() => window.lengths.size)) > 10);
    assert.match(await page.textContent('.facts'), /30 tokens.*\d tokens\/s/);
    assert.equal(await page.textContent('.question .bubble'), 'What is gravity?');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
    // Told to a screen reader once it is whole, not token by token.
    const said = await page.textContent('[role=status]');
    assert.equal(said.trim(), (await text(page).textContent()).slice(0, 2000).trim());
    assert.equal(await page.locator('[role=status] .text, .text[aria-live]').count(), 0);
    assert.equal(await page.textContent('.state'), 'ready');
});

pageTest('stop keeps the text and frees the sequence', {}, async (page) => {
    await tune(page, LONG);
    const cancelled = () => shared.server.metric('dunlin_http_requests_total', /status="499"/);
    const before = await cancelled();
    await ask(page, 'Tell me everything.');
    await shows(page, 20);
    await page.click('button[aria-label=Stop]');
    await page.waitForSelector('.facts:has-text("Stopped")');
    const kept = await text(page).textContent();
    assert.ok(kept.length > 20);
    for (let i = 0; i < 100 && (await cancelled()) === before; ++i) await page.waitForTimeout(100);
    assert.equal(await cancelled(), before + 1);
    assert.equal(await text(page).textContent(), kept);

    await ask(page, 'Once more.');
    await shows(page, 20);
    await page.keyboard.press('Escape');
    await page.waitForSelector('.answer:last-child .facts:has-text("Stopped")');
    const [, second] = page.bodies;
    assert.deepEqual(
        second.messages.map((message) => message.role),
        ['user', 'assistant', 'user'],
    );
    assert.equal(second.messages[1].content, kept);
});

pageTest('a new chat forgets the old one, also in mid-answer', {}, async (page) => {
    await tune(page, LONG);
    const fresh = page.getByRole('button', { name: 'New chat' });
    assert.ok(await fresh.isDisabled());
    await ask(page, 'Tell me everything.');
    await shows(page, 20);
    await fresh.click();
    await page.waitForSelector('text=What would you like to know?');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
    await ask(page, 'Something else.');
    await shows(page, 5);
    assert.deepEqual(page.bodies[1].messages, [{ role: 'user', content: 'Something else.' }]);
    assert.equal(await page.locator('.answer').count(), 1);
});

pageTest('examples ask', { fakeOnly: true }, async (page) => {
    await tune(page, { max_tokens: 5 });
    await page.click('text=Give me five ideas');
    await answered(page);
    assert.match(page.bodies[0].messages[0].content, /^Give me five ideas/);
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
    assert.equal(page.bodies[0].messages[0].content, 'one\ntwo');
    assert.equal(await composer(page).inputValue(), '');
    await composer(page).press('Enter');
    assert.equal(await page.locator('.question').count(), 1);
});

const small = { fakeOnly: true, viewport: { width: 480, height: 420 } };
pageTest('the view follows the end until the person scrolls up', small, async (page) => {
    const main = (read) => page.$eval('main', read);
    const left = () => main((one) => one.scrollHeight - one.clientHeight - one.scrollTop);
    await tune(page, { ignore_eos: true, max_tokens: 1000 });
    await ask(page, 'Fill the page.');
    await answered(page);
    assert.ok((await main((one) => one.scrollTop)) > 200 && (await left()) < 60);

    await tune(page, LONG);
    await ask(page, 'Tell me everything.');
    await shows(page, 50);
    await page.mouse.move(240, 200);
    await page.mouse.wheel(0, -150);
    await page.waitForSelector('text=To the latest');
    const top = await main((one) => one.scrollTop);
    const length = (await text(page).textContent()).length;
    await shows(page, length + 100);
    assert.equal(await main((one) => one.scrollTop), top);
    await page.click('text=To the latest');
    await page.waitForSelector('text=To the latest', { state: 'detached' });
    await shows(page, length + 300);
    assert.ok((await left()) < 60);
});
