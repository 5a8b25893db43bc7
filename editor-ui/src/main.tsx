/** Entry: mounts the app. */

import { createRoot } from 'react-dom/client';
import { App } from './panels/App';
import './styles/base.css';
import './styles/layout.css';
import './styles/canvas.css';
import './styles/panels.css';
import './styles/records.css';
import './styles/form.css';

const root = document.getElementById('root');
if (root) createRoot(root).render(<App />);
