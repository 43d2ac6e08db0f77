// Pictures for people: node screenshots.mjs [FOLDER [en,zh]]. With the default model, or DUNLIN_MODEL.
import { mkdir } from 'node:fs/promises';
import { DESKTOP, launch, openPage, PHONE } from './browser.mjs';
import { RICH } from './content.mjs';
import { Cable, Server } from './server.mjs';
import { composer, rows, tune } from './steps.mjs';

const folder = process.argv[2] ?? 'build/screenshots';
await mkdir(folder, { recursive: true });
const QUESTIONS = {
    en: ['Why is the sky blue?', 'A haiku about the tide', 'Plan a week in the mountains with two children and a dog', 'Sort a list in Rust', 'Difference between TCP and UDP'],
    zh: ['天空为什么是蓝色的？', '写一首关于潮汐的俳句', '带两个孩子和一只狗在山里度过一周的计划', '用 Rust 给列表排序', 'TCP 和 UDP 的区别'],
};
const ASKED = { en: 'Give me five ideas for a rainy afternoon.', zh: '给我五个雨天下午可以做的事。' };
const session = (question) => [{ role: 'user', content: question }, { role: 'assistant', content: RICH }];

/** One walk through the states of the page. */
async function walk(browser, { language, colorScheme, size, viewport }) {
    const data = await Server.importSessions(Object.fromEntries(QUESTIONS[language].map((question, i) => [`s${i}`, session(question)])));
    const model = process.env.DUNLIN_MODEL ?? 'SmolLM2-135M-Instruct';
    const server = await Server.start({ data, model });
    const locked = await Server.start({ keys: [{ name: 'a', key: 'b' }] });
    const cable = await Cable.to(server);
    const touch = size === 'phone';
    const look = { viewport, colorScheme, locale: language === 'zh' ? 'zh-CN' : 'en-GB', deviceScaleFactor: touch ? 2 : 1, hasTouch: touch, isMobile: touch };
    const page = await openPage(browser, cable.url, look);
    const shot = async (what, of = page) => {
        await of.waitForTimeout(350);
        await of.screenshot({ path: `${folder}/${what}-${size}-${colorScheme}-${language}.png` });
    };
    const button = (n) => page.locator('.main > header button').nth(n);
    await tune(page, { max_tokens: 200 });
    if (!touch) await rows(page).first().waitFor();
    await shot('empty');
    await composer(page).fill(ASKED[language]);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => (document.querySelector('.answer .text')?.textContent.length ?? 0) > 120 || document.querySelector('.facts.last'));
    await page.screenshot({ path: `${folder}/streaming-${size}-${colorScheme}-${language}.png` });
    await page.waitForSelector('.facts.last');
    await page.locator('.again').click();
    await page.waitForSelector('.branches');
    await page.waitForSelector('.facts.last');
    await shot('answered');
    await page.goto(`${cable.url}/#/s/s0`);
    await page.waitForSelector('.bubble');
    await page.waitForSelector('table');
    await shot('rich-end');
    await page.$eval('main', (main) => (main.scrollTop = 0));
    await shot('rich');
    await page.locator('.question button').last().click();
    await shot('editing');
    await page.keyboard.press('Escape');
    await page.locator('.link').click();
    await shot('link');
    await page.keyboard.press('Escape');
    await button(touch ? 1 : 0).click();
    await shot('parameters');
    await page.keyboard.press('Escape');
    if (touch) await button(0).click();
    await shot('list');
    await page.locator('nav footer button').click();
    await shot('settings');
    await page.keyboard.press('Escape');
    await rows(page).nth(1).hover();
    await rows(page).nth(1).getByRole('button').first().click();
    await shot('menu');
    await page.getByRole('menuitem').last().click();
    if (touch) await page.keyboard.press('Escape');
    await shot('undo');
    await tune(page, { max_tokens: 2000, ignore_eos: true });
    await page.goto(`${cable.url}/#/`);
    await composer(page).fill(QUESTIONS[language][3]);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => (document.querySelector('.answer .text')?.textContent.length ?? 0) > 60);
    cable.cut();
    await page.waitForSelector('.next');
    await shot('lost');
    cable.join();
    await page.waitForSelector('.next', { state: 'detached' });
    await page.keyboard.press('Escape');
    await page.goto(`${cable.url}/#/s/none`);
    await page.waitForSelector('.failure');
    await shot('missing');
    await page.goto(`${cable.url}/#/`);
    await composer(page).fill('x'.repeat(9000));
    await page.keyboard.press('Enter');
    await page.waitForSelector('.note');
    await shot('error');
    await page.context().close();
    const asked = await openPage(browser, locked.url, look);
    await asked.waitForSelector('dialog');
    await shot('key', asked);
    await asked.context().close();
    cable.end();
    await server.end();
    await locked.end();
}

const browser = await launch();
for (const language of process.argv[3]?.split(',') ?? ['en', 'zh'])
    for (const colorScheme of process.argv[4]?.split(',') ?? ['light', 'dark'])
        for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) await walk(browser, { language, colorScheme, size, viewport });
await browser.close();
