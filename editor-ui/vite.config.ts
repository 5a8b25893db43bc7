import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The runtime that `npm run dev` talks to; the mock server listens there too.
const runtime = process.env.TIDEWIRE_URL ?? 'http://127.0.0.1:1880';
const routes = ['/api', '/flows', '/flow', '/nodes', '/settings', '/inject', '/debug', '/credentials', '/context', '/auth', '/comms', '/setup-token'];

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    sourcemap: false,
    modulePreload: { polyfill: false },
    // Fonts and pictures stay files: a data: address would need its own CSP exception.
    assetsInlineLimit: 0,
  },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(routes.map((route) => [route, { target: runtime, changeOrigin: true, ws: true }])),
  },
});
