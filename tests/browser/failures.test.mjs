import assert from 'node:assert/strict';
import { shared, pageTest } from './fixture.mjs';
import { Server } from './server.mjs';
import { answered, answerWith, ask, shows, text, tune } from './steps.mjs';

const alert = (page) => page.locator('.answer:last-child [role=alert]').textContent();

pageTest('a server that goes away is told, and asked again when it is back', {}, async (page) => {
    const port = shared.server.port;
    await tune(page, { ignore_eos: true, max_tokens: 2000 });
    await ask(page, 'Tell me everything.');
    await shows(page, 20);
    await shared.server.kill();
    await page.waitForSelector('[role=alert]');
    assert.match(await alert(page), /broke before the answer was complete/);
    assert.ok((await text(page).textContent()).length > 20);
    await page.waitForSelector('.state:has-text("offline")');

    await ask(page, 'Are you there?');
    await page.waitForSelector('.answer:last-child [role=alert]');
    assert.match(await alert(page), /does not answer/);

    shared.server = await Server.start({ port });
    await tune(page, { ignore_eos: true, max_tokens: 20 });
    await page.click('text=Try again');
    await page.waitForSelector('.answer:last-child .facts');
    assert.equal(await page.locator('.question').count(), 2);
    await page.waitForSelector('.state:has-text("ready")');
});

pageTest('a model that is not downloaded', {}, async (page) => {
    await page.selectOption('select', 'Qwen/Qwen2.5-0.5B-Instruct');
    await page.waitForSelector('.state:has-text("not downloaded")');
    await ask(page, 'Hello');
    await page.waitForSelector('[role=alert]');
    assert.match(await alert(page), /This model is not downloaded\..*--model/s);
});

pageTest('a conversation that is too long', { fakeOnly: true }, async (page) => {
    await ask(page, 'x'.repeat(8190));
    await page.waitForSelector('[role=alert]');
    assert.match(await alert(page), /longer than the model can read.*8192/s);
    // The next question goes without the one that failed.
    await tune(page, { max_tokens: 5 });
    await ask(page, 'Hello');
    await page.waitForSelector('.answer:last-child .facts');
    assert.deepEqual(page.bodies[0].messages, [{ role: 'user', content: 'Hello' }]);
});

pageTest('a text above the limit of characters', { fakeOnly: true }, async (page) => {
    await ask(page, 'x'.repeat(8193));
    await page.waitForSelector('[role=alert]');
    assert.match(await alert(page), /refused the question.*8193 characters; the limit is 8192/s);
});

for (const [status, code] of [
    [429, 'rate_limit_exceeded'],
    [503, 'overloaded'],
])
    pageTest(`a busy server: ${status} says how long to wait`, { fakeOnly: true }, async (page) => {
        await answerWith(page, {
            status,
            headers: { 'Retry-After': '2' },
            json: { error: { message: 'the queue is full', type: 'x', param: null, code } },
        });
        await ask(page, 'Hello');
        await page.waitForSelector('[role=alert]');
        assert.match(await alert(page), /The server is busy\..*the queue is full/s);
        const again = page.locator('.note button');
        assert.match(await again.textContent(), /Try again in [12] s/);
        assert.ok(await again.isDisabled());
        await page.waitForSelector('.note button:enabled');
        await tune(page, { max_tokens: 5 });
        await again.click();
        await answered(page);
    });

pageTest('an error in mid-stream keeps the text', { fakeOnly: true }, async (page) => {
    const chunk = JSON.stringify({ choices: [{ index: 0, delta: { content: 'Half an ans' } }] });
    const error = JSON.stringify({ error: { message: 'the device is lost', code: 'device_lost' } });
    await answerWith(page, {
        contentType: 'text/event-stream',
        body: `data: ${chunk}\n\ndata: ${error}\n\ndata: [DONE]\n\n`,
    });
    await ask(page, 'Hello');
    await page.waitForSelector('[role=alert]');
    assert.match(await alert(page), /the device is lost/);
    assert.equal(await text(page).textContent(), 'Half an ans');
});
