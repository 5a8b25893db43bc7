/** The dialogs, loaded when the first one opens. */

import { set, useEditor } from '../commands/store';
import { ActionsDialog, KeysDialog, SearchDialog } from './Finder';
import { ConflictDialog } from './ConflictDialog';
import { ExportDialog } from './ExportDialog';
import { ImportDialog } from './ImportDialog';
import { RestoreDialog } from './RestoreDialog';

export default function Dialogs() {
  const dialog = useEditor((state) => state.dialog);
  const close = (): void => set({ dialog: null });
  switch (dialog?.kind) {
    case 'import':
      return <ImportDialog initial={dialog.text ?? ''} onClose={close} />;
    case 'export':
      return <ExportDialog onClose={close} />;
    case 'actions':
      return <ActionsDialog onClose={close} />;
    case 'search':
      return <SearchDialog onClose={close} />;
    case 'keys':
      return <KeysDialog onClose={close} />;
    case 'conflict':
      return <ConflictDialog onClose={close} />;
    case 'restore':
      return <RestoreDialog position={dialog.position} onClose={close} />;
    default:
      return null;
  }
}
