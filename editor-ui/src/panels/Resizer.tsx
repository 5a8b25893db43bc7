/** The bar between two panels that changes their size by drag or arrow key. */

import { get, set } from '../commands/store';

type Side = 'left' | 'right' | 'drawer';

const LIMITS: Record<Side, [number, number]> = { left: [180, 420], right: [260, 640], drawer: [90, 600] };

export function Resizer({ side }: { side: Side }) {
  const apply = (value: number): void => {
    const [low, high] = LIMITS[side];
    set({ sizes: { ...get().sizes, [side]: Math.max(low, Math.min(high, Math.round(value))) } });
  };
  const start = (event: React.PointerEvent): void => {
    event.preventDefault();
    const begin = get().sizes[side];
    const at = side === 'drawer' ? event.clientY : event.clientX;
    const onMove = (now: PointerEvent): void =>
      apply(side === 'left' ? begin + now.clientX - at : side === 'right' ? begin - now.clientX + at : begin - now.clientY + at);
    const onUp = (): void => {
      window.removeEventListener('pointermove', onMove);
      window.removeEventListener('pointerup', onUp);
    };
    window.addEventListener('pointermove', onMove);
    window.addEventListener('pointerup', onUp);
  };
  const step = (event: React.KeyboardEvent): void => {
    const steps: Record<string, number> =
      side === 'drawer'
        ? { ArrowUp: 20, ArrowDown: -20 }
        : side === 'left'
          ? { ArrowLeft: -20, ArrowRight: 20 }
          : { ArrowLeft: 20, ArrowRight: -20 };
    if (steps[event.key]) apply(get().sizes[side] + steps[event.key]);
  };
  const sizes = get().sizes;
  const style = side === 'left' ? { left: sizes.left - 3 } : side === 'right' ? { right: sizes.right - 3 } : undefined;
  return (
    <div
      className={`resizer ${side}`}
      style={style}
      role="separator"
      aria-label={`Resize ${side}`}
      aria-orientation={side === 'drawer' ? 'horizontal' : 'vertical'}
      aria-valuenow={sizes[side]}
      tabIndex={0}
      onPointerDown={start}
      onKeyDown={step}
    />
  );
}
