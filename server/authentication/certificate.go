package authentication

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
)

// Names of what a certificate tells, as the API server has them.
const (
	// credentialKey is the key of User.Extra that tells certificates of one user apart.
	credentialKey = "authentication.kubernetes.io/credential-id"
	// uidAttribute is the subject's attribute with the user's UID.
	uidAttribute = "1.3.6.1.4.1.57683.2"
)

// byCertificate returns the user of the request's client certificate: the subject's common name, in the groups that are its
// organizations. It returns neither user nor error if there is no certificate, or one without a common name.
func byCertificate(connection *tls.ConnectionState, authorities *x509.CertPool) (*User, error) {
	if connection == nil || len(connection.PeerCertificates) == 0 {
		return nil, nil
	}
	leaf := connection.PeerCertificates[0]
	if authorities == nil {
		// None at all would mean the system's to Verify.
		authorities = x509.NewCertPool()
	}
	// Verified for each request, and not when connecting: authorities change, and certificates expire on connections that last.
	options := x509.VerifyOptions{
		Roots: authorities, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, certificate := range connection.PeerCertificates[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, err := leaf.Verify(options); err != nil {
		return nil, &Refused{Reason: fmt.Sprintf("client certificate %q: %v", leaf.Subject.CommonName, err)}
	}
	if leaf.Subject.CommonName == "" {
		return nil, nil
	}
	uid, err := subjectUID(leaf)
	if err != nil {
		return nil, &Refused{Reason: fmt.Sprintf("client certificate %q: %v", leaf.Subject.CommonName, err)}
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	return known(&User{
		Name: leaf.Subject.CommonName, UID: uid, Groups: leaf.Subject.Organization,
		Extra: map[string][]string{credentialKey: {"X509SHA256=" + hex.EncodeToString(fingerprint[:])}},
	}), nil
}

// subjectUID returns the UID that the subject has, if it has one.
func subjectUID(certificate *x509.Certificate) (string, error) {
	var found []string
	for _, name := range certificate.Subject.Names {
		if name.Type.String() != uidAttribute {
			continue
		}
		uid, ok := name.Value.(string)
		if !ok || uid == "" {
			return "", errors.New("its UID is not a string, or empty")
		}
		found = append(found, uid)
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	default:
		return "", errors.New("it has more than one UID")
	}
}
