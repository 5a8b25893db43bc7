/** The two pages in front of the editor: sign in, and the set-up of the first user. */

import { useState, type FormEvent } from 'react';
import { set, useEditor } from '../commands/store';
import { Mark } from '../kit/icons';
import { api } from '../net/api';
import { enter, words } from './session';

function useSubmit(work: () => Promise<void>): {
  busy: boolean;
  error: string;
  submit: (event: FormEvent) => void;
  fail: (text: string) => void;
} {
  const [busy, setBusy] = useState(false);
  const [error, fail] = useState('');
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setBusy(true);
    fail('');
    work()
      .catch((problem: unknown) => fail(words(problem)))
      .finally(() => setBusy(false));
  };
  return { busy, error, submit, fail };
}

export function LoginPage() {
  const waiting = useEditor((state) => state.session?.setup === true);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const { busy, error, submit } = useSubmit(async () => {
    await api.login(name, password);
    await enter();
  });
  return (
    <main className="front">
      <form className="front-card" onSubmit={submit} data-testid="login-form">
        <Mark size={40} />
        <h1>Sign in to Tidewire</h1>
        {waiting && <p className="front-note">No user exists yet. Open the set-up link that the server printed in its terminal.</p>}
        <label>
          User name
          <input
            className="input"
            name="username"
            autoComplete="username"
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value)}
            required
          />
        </label>
        <label>
          Password
          <input
            className="input"
            name="password"
            type="password"
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            required
          />
        </label>
        {error && (
          <p className="finding error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" className="button primary" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}

const MIN_PASSWORD = 12;

export function SetupPage() {
  const token = new URLSearchParams(location.search).get('token') ?? '';
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const { busy, error, submit } = useSubmit(async () => {
    if (password.length < MIN_PASSWORD) throw new Error(`The password needs at least ${MIN_PASSWORD} characters.`);
    if (password !== again) throw new Error('The two passwords differ.');
    await api.setup(token, name, password);
    history.replaceState(null, '', '/');
    await enter();
  });
  return (
    <main className="front">
      <form className="front-card" onSubmit={submit} data-testid="setup-form">
        <Mark size={40} />
        <h1>Welcome to Tidewire</h1>
        <p>Choose the name and password of the first user. That is all the set-up there is.</p>
        {!token && (
          <p className="finding error" role="alert">
            The link has no token. Open the link exactly as the server printed it.
          </p>
        )}
        <label>
          User name
          <input
            className="input"
            name="username"
            autoComplete="username"
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value)}
            required
          />
        </label>
        <label>
          Password, at least {MIN_PASSWORD} characters
          <input
            className="input"
            name="password"
            type="password"
            autoComplete="new-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            required
          />
        </label>
        <label>
          Password again
          <input
            className="input"
            name="password2"
            type="password"
            autoComplete="new-password"
            value={again}
            onChange={(event) => setAgain(event.target.value)}
            required
          />
        </label>
        {error && (
          <p className="finding error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" className="button primary" disabled={busy || !token}>
          {busy ? 'Setting up…' : 'Create user and open the editor'}
        </button>
        <button
          type="button"
          className="link"
          onClick={() => {
            history.replaceState(null, '', '/');
            set({ page: 'login' });
          }}
        >
          I have a user already
        </button>
      </form>
    </main>
  );
}
