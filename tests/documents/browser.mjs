// Browsers and newer versions of Node.js have this by themselves.
import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket;
