// Package review asks a Kubernetes API server who somebody is (TokenReview) and what they may do (SubjectAccessReview).
package review

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/nodevitals/nodevitals/logging"
)

// Client asks one API server. Its methods are safe for concurrent use.
type Client struct {
	tokens, access rest.Interface
	// patience is how long a question may take with all its tries, and attempt one of them. Scrapers wait 10 s by default.
	patience, attempt time.Duration
	backoff           wait.Backoff
}

// NewClient makes a client. It asks for nothing yet. It returns an error if the configuration is not valid.
func NewClient(config *rest.Config) (*Client, error) {
	// A scheme of two types alone: that of the whole clientset costs 11 MB of binary.
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(authentication.SchemeGroupVersion, &authentication.TokenReview{})
	scheme.AddKnownTypes(authorization.SchemeGroupVersion, &authorization.SubjectAccessReview{})
	for _, version := range []schema.GroupVersion{authentication.SchemeGroupVersion, authorization.SchemeGroupVersion} {
		meta.AddToGroupVersion(scheme, version)
	}
	config = rest.CopyConfig(config)
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	// Who may ask how often is decided before it comes to this.
	config.QPS = -1

	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server %s: %w", config.Host, err)
	}
	c := &Client{
		patience: 10 * time.Second, attempt: 4 * time.Second,
		backoff: wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 4},
	}
	for _, one := range []struct {
		version schema.GroupVersion
		into    *rest.Interface
	}{{authentication.SchemeGroupVersion, &c.tokens}, {authorization.SchemeGroupVersion, &c.access}} {
		config.GroupVersion = &one.version
		client, err := rest.RESTClientForConfigAndClient(config, transport)
		if err != nil {
			return nil, fmt.Errorf("make a client of the API server %s: %w", config.Host, err)
		}
		*one.into = client
	}
	return c, nil
}

// Token asks whose a token is. That it is nobody's is no error; it is one that the API server did not say. No error has the token in
// its text, whatever the API server answered, or the body of an answer that was not the API server's.
func (c *Client) Token(ctx context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
	answer := authentication.TokenReview{}
	err := c.create(ctx, c.tokens, "tokenreviews", &authentication.TokenReview{Spec: spec}, &answer)
	if err != nil {
		return authentication.TokenReviewStatus{}, without(spec.Token, fmt.Errorf("review a token: %w", err))
	}
	return answer.Status, nil
}

// Access asks whether somebody may do something. That they may not is no error; it is one that the API server did not say.
func (c *Client) Access(ctx context.Context, spec authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
	answer := authorization.SubjectAccessReview{}
	err := c.create(ctx, c.access, "subjectaccessreviews", &authorization.SubjectAccessReview{Spec: spec}, &answer)
	if err != nil {
		return authorization.SubjectAccessReviewStatus{}, fmt.Errorf("review access: %w", err)
	}
	return answer.Status, nil
}

// create sends an object and reads the answer, more than once if what went wrong may be over soon.
func (c *Client) create(ctx context.Context, client rest.Interface, resource string, object, answer runtime.Object) error {
	// client-go would log bodies at its higher levels.
	ctx, cancel := context.WithTimeout(klog.NewContext(ctx, klog.Logger{}), c.patience)
	defer cancel()
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, c.backoff, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, c.attempt)
		defer cancel()
		last = client.Post().Resource(resource).MaxRetries(0).Body(object).Do(ctx).Into(answer)
		if last != nil && !passing(last) {
			return false, last
		}
		return last == nil, nil
	})
	// The last answer says more than that there were no more tries.
	if err != nil && last != nil {
		err = last
	}
	return logging.WithoutBody(err)
}

// passing tells whether an error may be over soon: a connection that breaks, a server that starts. What the server refuses, it will
// refuse again.
func passing(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return true
	}
	code := status.ErrStatus.Code
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// without takes a secret out of an error's text.
func without(secret string, err error) error {
	if secret == "" || !strings.Contains(err.Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, "[token]"))
}
