// The real program on a free port; the fake model, or the one that DUNLIN_MODEL names.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BINARY = process.env.DUNLIN_BINARY ?? `${ROOT}build/dev/dunlin`;
export const MODEL = process.env.DUNLIN_MODEL ?? 'fake';
const START_MS = 60_000;
process.setMaxListeners(0); // each server and folder has one, to go with this process
const END_MS = 20_000;

/** A new folder, which goes with this process. */
function folder() {
    const path = mkdtempSync(join(tmpdir(), 'dunlin-browser-'));
    process.once('exit', () => rmSync(path, { recursive: true, force: true }));
    return path;
}

const keyTable = ({ name, key, requestsPerMinute = 0 }) =>
    `[[key]]\nname = "${name}"\nsha256 = "${createHash('sha256').update(key).digest('hex')}"\n` +
    `requests_per_minute = ${requestsPerMinute}\n`;

export class Server {
    /**
     * Resolves when it listens. `port` 0 takes a free one; `data` is the folder of a server before,
     * `environment` its settings, `keys` those that it knows.
     */
    static async start({ port = 0, model = MODEL, data = folder(), environment = {}, keys = [] } = {}) {
        const server = new Server();
        server.data = data;
        const config = join(data, 'config.toml');
        writeFileSync(config, keys.map(keyTable).join(''));
        server.process = spawn(
            BINARY,
            ['serve', '--config', config, '--model', model, '--port', String(port), '--data-dir', join(data, 'sessions')],
            { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DUNLIN_LIMITS__RESPONSE_TOKENS_MAX: '8000', ...environment } },
        );
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

    /** Runs the program beside it, on its data: `dunlin sessions import ...` before it starts. */
    static async importSessions(sessions, data = folder()) {
        const file = join(data, 'import.json');
        writeFileSync(file, JSON.stringify(sessions));
        const run = spawn(BINARY, ['sessions', 'import', file, '--data-dir', join(data, 'sessions')], { stdio: 'inherit' });
        const [code] = await once(run, 'exit');
        if (code !== 0) throw new Error(`import ended with ${code}`);
        return data;
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

/** Stands between a page and a server, and can be cut like a cable. */
export class Cable {
    static async to(server) {
        const cable = new Cable();
        cable.pairs = new Set();
        cable.whole = true;
        cable.listener = createServer((near) => {
            if (!cable.whole) return near.destroy();
            const far = connect(server.port, '127.0.0.1');
            cable.pairs.add([near, far]);
            for (const [one, other] of [[near, far], [far, near]]) {
                one.pipe(other);
                one.on('error', () => other.destroy());
                one.on('close', () => other.destroy());
            }
        });
        cable.listener.listen(0, '127.0.0.1');
        await once(cable.listener, 'listening');
        cable.url = `http://127.0.0.1:${cable.listener.address().port}`;
        return cable;
    }

    /** Nothing passes any more, until join(). */
    cut() {
        this.whole = false;
        for (const pair of this.pairs) pair.forEach((socket) => socket.destroy());
        this.pairs.clear();
    }
    join() {
        this.whole = true;
    }
    end() {
        this.cut();
        this.listener.close();
    }
}
