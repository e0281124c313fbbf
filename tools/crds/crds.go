// Package crds is there for what its module requires: the tests of the manifests take custom resource definitions from it.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil" // the smallest package of the module that has them
