import assert from 'node:assert/strict';
import { PHONE } from './browser.mjs';
import { pageTest } from './fixture.mjs';
import { answered, answerWith, ask, overhang, text, tune } from './steps.mjs';

const HOSTILE = [
    '<img src=x onerror="alert(1)">',
    '<script>alert(2)</script>',
    '<svg onload=alert(3)>',
    '</li><style>*{display:none}</style>',
    '<a href="javascript:alert(4)">x</a> &lt;b&gt; ![x](http://example.com/x.png)',
].join('\n');

pageTest('markup from either side stays text', { fakeOnly: true }, async (page) => {
    const chunk = JSON.stringify({ choices: [{ index: 0, delta: { content: HOSTILE } }] });
    await answerWith(page, {
        contentType: 'text/event-stream',
        body: `data: ${chunk}\n\ndata: [DONE]\n\n`,
    });
    await ask(page, HOSTILE);
    await answered(page);
    assert.equal(await text(page).textContent(), HOSTILE);
    assert.equal(await page.textContent('.bubble'), HOSTILE);
    assert.equal(await page.locator('ol :is(img, script, svg, style, a)').count(), 0);
});

pageTest('Chinese for those who prefer it, and by a switch that is kept', { fakeOnly: true, locale: 'zh-CN' }, async (page) => {
    await page.waitForSelector('text=想了解些什么？');
    assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
    await tune(page, { ignore_eos: true, max_tokens: 5 });
    await ask(page, '你好');
    await answered(page);
    assert.match(await page.textContent('.facts'), /5 个词元/);
    await page.click('button:has-text("English")');
    assert.match(await page.textContent('.facts'), /5 tokens/);
    assert.equal(await page.getAttribute('html', 'lang'), 'en');
    await page.reload();
    await page.waitForSelector('text=What would you like to know?');
    await page.click('button:has-text("中文")');
    await page.waitForSelector('text=想了解些什么？');
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
            ['--text', '--ground'], ['--text', '--raised'], ['--text', '--question'], ['--muted', '--ground'],
            ['--muted', '--raised'], ['--muted', '--bad-ground'], ['--text', '--bad-ground'],
            ['--on-accent', '--accent'],
        ];
        return { ground: luminance('--ground'), pairs: pairs.map(([a, b]) => [`${a} on ${b}`, contrast(a, b)]) };
    });

for (const colorScheme of ['light', 'dark'])
    pageTest(`${colorScheme} by the system's preference, with enough contrast`, { fakeOnly: true, colorScheme }, async (page) => {
        const { ground, pairs } = await contrasts(page);
        assert.equal(ground < 0.2, colorScheme === 'dark');
        for (const [name, value] of pairs) assert.ok(value >= 4.5, `${name}: ${value.toFixed(2)}`);
    });

const phone = { fakeOnly: true, viewport: PHONE, hasTouch: true, isMobile: true };
pageTest('nothing sticks out on a phone', phone, async (page) => {
    assert.ok((await overhang(page)) <= 0);
    await tune(page, { ignore_eos: true, max_tokens: 200 });
    await ask(page, `${'long'.repeat(100)} ${'x '.repeat(200)}`);
    await answered(page);
    assert.ok((await overhang(page)) <= 0);
    await page.setViewportSize({ width: 320, height: 560 });
    assert.ok((await overhang(page)) <= 0);
    await page.click('button:has-text("中文")');
    assert.ok((await overhang(page)) <= 0);
    // Fingers need room.
    for (const button of await page.locator('button:visible').all()) {
        const box = await button.boundingBox();
        assert.ok(box.height >= 24 && box.width >= 24, await button.textContent());
    }
});

pageTest('every control has a name and can be reached by Tab', { fakeOnly: true }, async (page) => {
    const names = new Set();
    for (let i = 0; i < 12; ++i) {
        await page.keyboard.press('Tab');
        names.add(
            await page.evaluate(() => {
                const at = document.activeElement;
                return at.getAttribute('aria-label') ?? at.textContent.trim();
            }),
        );
    }
    for (const name of ['Model', '中文', 'Give me five ideas for a rainy afternoon.']) assert.ok(names.has(name), name);
    assert.ok(!names.has(''));
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
});
