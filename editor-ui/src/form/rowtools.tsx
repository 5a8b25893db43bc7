/** Buttons that move and remove one row of a list. */

import { Icon } from '../kit/icons';

export function moveItem<T>(list: readonly T[], from: number, to: number): T[] {
  const next = [...list];
  const [item] = next.splice(from, 1);
  next.splice(to, 0, item);
  return next;
}

export function RowTools({
  at,
  count,
  readOnly,
  onMove,
  onRemove,
}: {
  at: number;
  count: number;
  readOnly: boolean;
  onMove?: (to: number) => void;
  onRemove: () => void;
}) {
  if (readOnly) return null;
  return (
    <span className="row-tools">
      {onMove && at > 0 && (
        <button type="button" className="mini up" title="Move up" aria-label={`Move row ${at + 1} up`} onClick={() => onMove(at - 1)}>
          <Icon name="chevron" size={12} />
        </button>
      )}
      {onMove && at === 0 && count > 1 && (
        <button type="button" className="mini" title="Move down" aria-label={`Move row ${at + 1} down`} onClick={() => onMove(at + 1)}>
          <Icon name="chevron" size={12} />
        </button>
      )}
      <button type="button" className="mini" title="Remove" aria-label={`Remove row ${at + 1}`} onClick={onRemove}>
        <Icon name="close" size={12} />
      </button>
    </span>
  );
}
