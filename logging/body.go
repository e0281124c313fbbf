package logging

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WithoutBody returns an error of client-go's without the text of the answer that it came of, unless that was an API server's own reason: of
// an answer that is no Status, such as the page of a proxy in between, client-go makes up to 2 KiB the error's text. What wraps it is left out
// too, so it is for errors as client-go returns them. The error goes on to be found by [errors.As].
func WithoutBody(err error) error {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.HasStatusCause(err, meta.CauseTypeUnexpectedServerResponse) {
		return err
	}
	return &bodiless{err: err, code: status.ErrStatus.Code}
}

type bodiless struct {
	err  error
	code int32
}

// Error implements error.
func (b *bodiless) Error() string { return fmt.Sprintf("status %d", b.code) }

// Unwrap returns the error with its text.
func (b *bodiless) Unwrap() error { return b.err }
