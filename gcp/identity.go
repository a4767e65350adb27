package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/auth/credentials"
)

// This file asks whose the application default credentials are. It makes no difference how they were
// come by (a key, the metadata server, impersonation, a federated job, a person's login): Google says
// whom a token of theirs stands for.

const (
	accountTime = 15 * time.Second // of finding the credentials, getting a token and asking about it
	mayBeNamed  = "https://www.googleapis.com/auth/userinfo.email"
	cloudScope  = "https://www.googleapis.com/auth/cloud-platform"
	// introspection tells what a token is good for and whose it is. The token goes in the body, as Google's
	// own manual does it (https://cloud.google.com/sdk/gcloud/reference/auth/application-default/print-access-token):
	// an address ends up in logs.
	introspection = "https://www.googleapis.com/oauth2/v1/tokeninfo"
	maxAnswer     = 64 << 10 // bytes
)

// Account returns the e-mail address of the account that the application default credentials belong
// to. Its errors say what to do and never contain the token. client needs no deadline of its own.
func Account(ctx context.Context, client *http.Client) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{cloudScope, mayBeNamed}, Client: client})
	if err != nil {
		return "", fmt.Errorf("there are no Google credentials here; run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS: %w", err)
	}
	token, err := found.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("no token for the Google credentials; log in again with gcloud auth application-default login, or check the service account: %w", err)
	}
	return accountOf(ctx, client, token.Value)
}

// accountOf asks Google whose a token is.
func accountOf(ctx context.Context, client *http.Client, token string) (string, error) {
	body := strings.NewReader(url.Values{"access_token": {token}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, introspection, body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("google did not say whose the credentials are; try again: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // all that counts has been read
	var told struct {
		Email    string `json:"email"`
		Verified bool   `json:"verified_email"`
	}
	switch err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&told); {
	case answer.StatusCode == http.StatusBadRequest, answer.StatusCode == http.StatusUnauthorized:
		return "", fmt.Errorf("google does not know the token of these credentials (status %d); a federated login needs a service account to impersonate", answer.StatusCode)
	case answer.StatusCode != http.StatusOK:
		return "", fmt.Errorf("google did not say whose the credentials are (status %d); try again", answer.StatusCode)
	case err != nil:
		return "", fmt.Errorf("google's answer about the credentials cannot be read: %w", err)
	case told.Email == "":
		return "", errors.New("google does not name the account of these credentials: they lack the scope userinfo.email; log in again with gcloud auth application-default login")
	case !told.Verified:
		return "", fmt.Errorf("google has not verified that %s belongs to these credentials", told.Email)
	}
	return told.Email, nil
}
