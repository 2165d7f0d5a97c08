package idle

import (
	"context"
	"testing"
	"time"
)

func TestWaitEnds(t *testing.T) {
	start := time.Now()
	if err := Wait(context.Background(), time.Millisecond); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it waited for %s", took)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Wait(ctx, time.Hour); err == nil {
		t.Error("an interrupt did not end it")
	}
}

func TestRead(t *testing.T) {
	now, err := read()
	if err != nil || now.all <= 0 || now.idle < 0 || now.idle > now.all {
		t.Errorf("read %+v, %v", now, err)
	}
}
