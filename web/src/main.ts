import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { settings } from './chat/settings.svelte';

document.documentElement.dataset.theme = settings.theme; // before anything is painted
mount(App, { target: document.getElementById('app') as HTMLElement });
