// Debian's Chromium, and pages that notice what must never happen.
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

export const launch = () =>
    chromium.launch({
        executablePath: EXECUTABLE,
        args: ['--no-sandbox', '--disable-background-networking'],
    });

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

/**
 * A page of its own. `page.faults` lists violations of the content policy, scripts that failed,
 * dialogs, and requests to other hosts than the server's.
 */
export async function openPage(browser, url, { path = '/', ...options } = {}) {
    const context = await browser.newContext({ locale: 'en-GB', viewport: DESKTOP, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.faults = [];
    page.on('request', (request) => {
        const at = new URL(request.url());
        if (at.protocol !== 'data:' && at.origin !== new URL(url).origin) page.faults.push(`request to ${at}`);
    });
    page.on('pageerror', (error) => page.faults.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
        page.faults.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
    });
    page.on('console', (message) => {
        const text = message.text();
        if (/Content Security Policy|Refused to/i.test(text)) page.faults.push(text);
    });
    await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) =>
            console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`),
        );
    });
    await page.goto(url + path);
    await page.waitForSelector('.page textarea');
    return page;
}
