/** Which page is shown, and the theme. */

import { lazy, Suspense, useEffect } from 'react';
import { useEditor } from '../commands/store';
import { Mark, recolourIcons } from '../kit/icons';
import { LoginPage, SetupPage } from './Auth';
import { start } from './session';

const Editor = lazy(() => import('./Editor'));

export function App() {
  const page = useEditor((state) => state.page);
  const failure = useEditor((state) => state.failure);
  const theme = useEditor((state) => state.theme);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    recolourIcons();
    const scheme = window.matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', recolourIcons);
    return () => scheme.removeEventListener('change', recolourIcons);
  }, [theme]);
  useEffect(() => {
    void start();
  }, []);
  if (page === 'login') return <LoginPage />;
  if (page === 'setup') return <SetupPage />;
  if (page === 'failed') {
    return (
      <main className="front">
        <div className="front-card">
          <Mark size={40} />
          <h1>The server does not answer</h1>
          <p>{failure}</p>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Try again
          </button>
        </div>
      </main>
    );
  }
  const waiting = (
    <main className="front">
      <div className="front-wait">
        <Mark size={40} />
      </div>
    </main>
  );
  return page === 'loading' ? (
    waiting
  ) : (
    <Suspense fallback={waiting}>
      <Editor />
    </Suspense>
  );
}
