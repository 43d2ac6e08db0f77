// Pictures for people: node screenshots.mjs [FOLDER [en,zh]]. Needs the real model for what is in them.
import { mkdir } from 'node:fs/promises';
import { DESKTOP, launch, openPage, PHONE } from './browser.mjs';
import { Server } from './server.mjs';
import { tune } from './steps.mjs';

const folder = process.argv[2] ?? 'build/screenshots';
await mkdir(folder, { recursive: true });
const QUESTION = {
    en: 'Explain in three sentences why the sky is blue.',
    zh: '天空为什么是蓝色的？',
};

/** Until the last answer shows so many characters, or all that it has. */
const shown = (page, characters) =>
    page.waitForFunction((most) => {
        const last = [...document.querySelectorAll('.answer')].at(-1);
        return last?.querySelector('.facts') || (last?.querySelector('.text')?.textContent.length ?? 0) > most;
    }, characters, { timeout: 120_000 });

const browser = await launch();
for (const language of process.argv[3]?.split(',') ?? ['en', 'zh']) {
    for (const colorScheme of ['light', 'dark']) {
        for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
            const server = await Server.start({ model: process.env.DUNLIN_MODEL ?? 'SmolLM2-135M-Instruct' });
            const page = await openPage(browser, server.url, {
                viewport,
                colorScheme,
                locale: language === 'zh' ? 'zh-CN' : 'en-GB',
                deviceScaleFactor: size === 'phone' ? 2 : 1,
                hasTouch: size === 'phone',
                isMobile: size === 'phone',
            });
            const shot = (what) =>
                page.screenshot({ path: `${folder}/${what}-${size}-${colorScheme}-${language}.png` });
            await tune(page, { max_tokens: 200 });
            await page.waitForTimeout(300);
            await shot('empty');
            await page.fill('textarea', QUESTION[language]);
            await page.keyboard.press('Enter');
            await page.waitForTimeout(60);
            await shot('loading');
            await shown(page, 120);
            await shot('streaming');
            await page.waitForSelector('.facts', { timeout: 120_000 });
            await shot('answered');
            await page.waitForTimeout(50);
            await page.fill('textarea', 'List the names of forty birds,\neach on a line of its own,\nwith a word about where it lives.');
            await page.keyboard.press('Enter');
            await shown(page, 700);
            await page.mouse.move(viewport.width / 2, 300);
            await page.mouse.wheel(0, -400);
            await page.waitForTimeout(200);
            await shot('long');
            await server.kill();
            await page.click('.stop', { timeout: 500 }).catch(() => undefined);
            await page.fill('textarea', 'Are you still there?');
            await page.keyboard.press('Enter');
            await page.waitForSelector('[role=alert]');
            await page.waitForTimeout(100);
            await shot('error');
            await page.context().close();
        }
    }
}
await browser.close();
