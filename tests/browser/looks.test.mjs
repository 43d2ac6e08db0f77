import assert from 'node:assert/strict';
import { PHONE } from './browser.mjs';
import { HOSTILE, RICH } from './content.mjs';
import { begin, pageTest } from './fixture.mjs';
import { answered, ask, becomes, composer, overhang, rows, text, tune } from './steps.mjs';

const answer = (content) => [{ role: 'user', content: 'Why?' }, { role: 'assistant', content }];
begin({ sessions: { rich: answer(RICH), hostile: [{ role: 'user', content: HOSTILE }, { role: 'assistant', content: HOSTILE }] } });

pageTest('Markdown is shown as what it means', { fakeOnly: true, path: '/#/s/rich' }, async (page) => {
    const shown = text(page);
    await shown.waitFor();
    for (const one of ['h4:has-text("Why the sky")', 'strong', 'em', 'del', 'ol > li > ul', 'td.right', 'blockquote', 'li.task input:checked', 'pre .hljs-keyword'])
        await shown.locator(one).first().waitFor({ state: 'attached' });
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy the code' }).click();
    await page.getByText('Copied').waitFor({ state: 'attached' });
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^def scattered.*times"\)$/s);
});

pageTest('a link and an image ask before they open, and load nothing before', { fakeOnly: true, path: '/#/s/rich' }, async (page) => {
    await page.locator('.link').click();
    const dialog = page.locator('dialog');
    assert.match(await dialog.textContent(), /https:\/\/en\.example\/wiki\/Rayleigh_scattering/);
    const open = dialog.locator('a');
    assert.deepEqual(
        await open.evaluate((one) => [one.href, one.target, one.rel]),
        ['https://en.example/wiki/Rayleigh_scattering', '_blank', 'noopener noreferrer'],
    );
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Image from pictures.example: A diagram' }).focus();
    await page.keyboard.press('Enter');
    assert.match(await dialog.textContent(), /https:\/\/pictures\.example\/sky\/scattering\.png/);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
});

pageTest('markup from either side stays text', { fakeOnly: true, path: '/#/s/hostile' }, async (page) => {
    await text(page).waitFor();
    assert.equal(await page.textContent('.bubble'), HOSTILE);
    const shown = await text(page).textContent();
    for (const one of ['<script>alert(1)</script>', '<iframe src="http://evil.example/">', 'javascript:alert(3)', '<style>']) assert.ok(shown.includes(one), one);
    assert.equal(await page.locator('main :is(img, script, style, a, iframe, form, video, object)').count(), 0);
    await page.waitForTimeout(300);
});

pageTest('Chinese for those who prefer it, and by a choice that is kept', { fakeOnly: true, locale: 'zh-CN' }, async (page) => {
    await page.waitForSelector('text=想了解些什么？');
    assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
    await tune(page, { ignore_eos: true, max_tokens: 5 });
    await ask(page, '你好');
    await answered(page);
    assert.match(await page.textContent('.facts'), /5 个词元/);
    await page.click('button:has-text("设置")');
    await page.getByLabel('English').check();
    assert.match(await page.textContent('.facts'), /5 tokens/);
    assert.equal(await page.getAttribute('html', 'lang'), 'en');
    await page.reload();
    await page.waitForSelector('button:has-text("Settings")');
});

/** WCAG's contrast of text on the ground, of the colours that carry text. */
const contrasts = (page) =>
    page.evaluate(() => {
        const style = getComputedStyle(document.documentElement);
        const probe = document.body.appendChild(document.createElement('i'));
        const luminance = (name) => {
            probe.style.color = style.getPropertyValue(name);
            const [r, g, b] = getComputedStyle(probe)
                .color.match(/[\d.]+/g)
                .map((part) => part / 255)
                .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (a, b) => {
            const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
            return (high + 0.05) / (low + 0.05);
        };
        const pairs = [
            ['--text', '--ground'], ['--text', '--raised'], ['--text', '--question'], ['--text', '--side'], ['--text', '--chosen'],
            ['--muted', '--ground'], ['--muted', '--raised'], ['--muted', '--sunken'], ['--muted', '--side'], ['--muted', '--bad-ground'],
            ['--text', '--bad-ground'], ['--on-accent', '--accent'], ['--accent', '--ground'], ['--bad', '--raised'],
            ['--on-toast', '--toast'], ['--muted', '--code'], ['--code-word', '--code'], ['--code-text', '--code'],
            ['--code-number', '--code'], ['--code-name', '--code'],
        ];
        const ground = luminance('--ground');
        const found = pairs.map(([a, b]) => [`${a} on ${b}`, contrast(a, b)]);
        probe.remove();
        return { ground, pairs: found };
    });

for (const colorScheme of ['light', 'dark'])
    pageTest(`${colorScheme} by the system's preference, with enough contrast, or by choice`, { fakeOnly: true, colorScheme }, async (page) => {
        const { ground, pairs } = await contrasts(page);
        assert.equal(ground < 0.2, colorScheme === 'dark');
        for (const [name, value] of pairs) assert.ok(value >= 4.5, `${name}: ${value.toFixed(2)}`);
        await page.getByRole('button', { name: 'Settings' }).click();
        await page.getByLabel(colorScheme === 'dark' ? 'Light' : 'Dark').check();
        assert.equal((await contrasts(page)).ground < 0.2, colorScheme !== 'dark');
        await page.reload();
        await page.waitForSelector('.page textarea');
        assert.equal((await contrasts(page)).ground < 0.2, colorScheme !== 'dark');
    });

const phone = { fakeOnly: true, viewport: PHONE, hasTouch: true, isMobile: true };
pageTest('nothing sticks out on a phone, and fingers have room', { ...phone, path: '/#/s/rich' }, async (page) => {
    await text(page).waitFor();
    for (const size of [PHONE, { width: 320, height: 560 }]) {
        await page.setViewportSize(size);
        assert.ok((await overhang(page)) <= 0);
        for (const button of await page.locator('button:visible').all()) {
            const box = await button.boundingBox();
            assert.ok(box.height >= 24 && box.width >= 24, await button.evaluate((one) => one.outerHTML));
        }
    }
    await tune(page, { ignore_eos: true, max_tokens: 200 });
    await page.getByRole('button', { name: 'New chat' }).click();
    await ask(page, `${'long'.repeat(100)} ${'x '.repeat(200)}`);
    await answered(page);
    assert.ok((await overhang(page)) <= 0);
});

pageTest('on a phone the chats come from the side', phone, async (page) => {
    const alone = () => becomes(() => page.locator('.main').evaluate((one) => one.inert), true);
    const hidden = () => page.locator('#chats').waitFor({ state: 'hidden' });
    await hidden();
    await page.getByRole('button', { name: 'Show the chats' }).tap();
    await rows(page).first().waitFor();
    await alone();
    await page.keyboard.press('Escape');
    await hidden();
    await page.getByRole('button', { name: 'Show the chats' }).tap();
    await alone();
    await rows(page).filter({ hasText: 'Why?' }).locator('a').tap();
    await page.waitForSelector('.bubble:has-text("Why?")');
    await hidden();
});

pageTest('every control has a name and can be reached by Tab, in the order it stands in', { fakeOnly: true, path: '/#/s/rich' }, async (page) => {
    await text(page).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    const names = [];
    for (let i = 0; i < 24; ++i) {
        await page.keyboard.press('Tab');
        names.push(
            await page.evaluate(() => {
                const at = document.activeElement;
                return at.getAttribute('aria-label') ?? at.textContent.trim();
            }),
        );
    }
    const order = ['Hide the chats', 'New chat', 'Search chats', 'Why?', 'Settings', 'Model', 'Parameters', 'Edit', 'Another answer', 'Ask something'];
    const places = order.map((name) => names.indexOf(name));
    assert.deepEqual(places, [...places].sort((a, b) => a - b), names.join(' | '));
    assert.ok(!places.includes(-1), names.join(' | '));
    // A ring shows where one is.
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), undefined);
});

pageTest('the content policy holds, and its watch sees', { fakeOnly: true }, async (page) => {
    await page.evaluate(() => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
    });
    await page.evaluate(() => fetch('http://127.0.0.1:9/').catch(() => undefined));
    assert.equal(await page.evaluate(() => window.ran), undefined);
    assert.ok(page.faults.some((fault) => /script-src/.test(fault)), page.faults.join('\n'));
    assert.ok(page.faults.some((fault) => /connect-src/.test(fault)), page.faults.join('\n'));
    page.faults.length = 0;
    assert.equal(await composer(page).count(), 1);
});
