// The real program on a free port; the fake model, or the one that DUNLIN_MODEL names.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BINARY = process.env.DUNLIN_BINARY ?? `${ROOT}build/dev/dunlin`;
export const MODEL = process.env.DUNLIN_MODEL ?? 'fake';
const START_MS = 60_000;
const END_MS = 20_000;

export class Server {
    /** Resolves when it listens. `port` 0 takes a free one. */
    static async start({ port = 0, model = MODEL } = {}) {
        const server = new Server();
        server.process = spawn(BINARY, ['serve', '--model', model, '--port', String(port)], {
            stdio: ['ignore', 'pipe', 'pipe'],
            env: { DUNLIN_SESSIONS__STORE: 'memory', ...process.env }, // not the developer's own data
        });
        server.log = '';
        process.once('exit', () => server.process.kill('SIGKILL')); // a failed run leaves none behind
        server.process.stderr.on('data', (text) => (server.log += text));
        const timer = setTimeout(() => server.process.kill('SIGKILL'), START_MS);
        for await (const line of createInterface(server.process.stdout)) {
            server.log += `${line}\n`;
            const found = /listens on (http:\/\/\S+:(\d+))/.exec(line);
            if (!found) continue;
            clearTimeout(timer);
            server.process.stdout.resume();
            server.url = found[1];
            server.port = Number(found[2]);
            return server;
        }
        throw new Error(`the server did not start:\n${server.log}`);
    }

    /** The sum of a family's series whose labels match. */
    async metric(name, labels = /(?:)/) {
        const text = await (await fetch(`${this.url}/metrics`)).text();
        let sum = 0;
        for (const line of text.split('\n')) {
            const found = /^(\w+)(\{.*\})? (\S+)$/.exec(line);
            if (found?.[1] === name && labels.test(found[2] ?? '')) sum += Number(found[3]);
        }
        return sum;
    }

    /** Ends it at once, as a crash would. */
    async kill() {
        await this.end('SIGKILL');
    }

    async end(signal = 'SIGTERM') {
        if (this.process.exitCode !== null || this.process.signalCode !== null) return;
        const ended = once(this.process, 'exit');
        this.process.kill(signal);
        const timer = setTimeout(() => this.process.kill('SIGKILL'), END_MS);
        await ended;
        clearTimeout(timer);
    }
}
