package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sdr-engine/sdr/internal/processor"
)

// stalled is how long a server may take to send the next bytes of a piece.
const stalled = 5 * time.Minute

// pieceClient asks for pieces. It goes through no proxy: the server is damocles-manager, or a
// piece store beside it.
var pieceClient = &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: stalled, IdleConnTimeout: time.Minute, DisableCompression: true}}

// openURL asks an http or https server for a piece.
func openURL(ctx context.Context, p processor.Piece) (io.ReadCloser, error) {
	address, err := url.Parse(p.URL)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("opening piece: %.200q is no http or https address", p.URL)
	}
	failed := func(err error) (io.ReadCloser, error) {
		return nil, fmt.Errorf("opening piece: asking %s: %w", address.Redacted(), err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		cancel(nil)
		return failed(err)
	}
	response, err := pieceClient.Do(request)
	if err != nil {
		cancel(nil)
		if unwrapped := (*url.Error)(nil); errors.As(err, &unwrapped) {
			err = unwrapped.Err // it has the address, with its password
		}
		return failed(err)
	}
	body := &urlBody{body: response.Body, ctx: ctx, cancel: cancel}
	body.timer = time.AfterFunc(stalled, func() { cancel(fmt.Errorf("the server has sent nothing for %v", stalled)) })
	switch {
	case response.StatusCode != http.StatusOK:
		err = fmt.Errorf("it answers %s, want 200 OK", response.Status)
	case response.ContentLength >= 0 && uint64(response.ContentLength) < uint64(p.Payload):
		err = fmt.Errorf("it has %d bytes, fewer than the payload_size, %d", response.ContentLength, p.Payload)
	default:
		return filled(body, p), nil
	}
	body.Close()
	return failed(err)
}

// A urlBody is what a server sends.
type urlBody struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (b *urlBody) Read(p []byte) (int, error) {
	b.timer.Reset(stalled)
	n, err := b.body.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *urlBody) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.body.Close()
}
