//go:build boot

package boot

import (
	"context"
	"sync"
)

// watched guards what one goroutine writes and others wait for.
type watched struct {
	mu      sync.Mutex
	changed *sync.Cond
}

func newWatched() *watched {
	w := new(watched)
	w.changed = sync.NewCond(&w.mu)
	return w
}

// update runs f under the lock and wakes every waiter.
func (w *watched) update(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.changed.Broadcast()
}

// wait runs done under the lock now and after every update, until it returns
// true or an error, or ctx ends.
func (w *watched) wait(ctx context.Context, done func() (bool, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { w.update(func() {}) })
	defer stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.changed.Wait()
	}
}
