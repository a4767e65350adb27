package gcp

import (
	"fmt"
	"regexp"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// This file writes the commands that people can copy: what grants a permission, what shows how
// things stand, what does by hand what Slipway does. ACCOUNT stands for the service account that
// Slipway runs as.

func at(s rollout.Service) string {
	return fmt.Sprintf(" --project %s --region %s", s.Project, s.Region)
}

// sendAll sends all traffic of a service to a revision.
func sendAll(s rollout.Service, revision string) string {
	return "gcloud run services update-traffic " + s.CloudRun + at(s) + " --to-revisions " + revision + "=100"
}

// untag takes the candidate's tag away.
func untag(s rollout.Service) string {
	return "gcloud run services update-traffic " + s.CloudRun + at(s) + " --remove-tags " + plan.CandidateTag
}

func describe(s rollout.Service) string { return "gcloud run services describe " + s.CloudRun + at(s) }

func listing(s rollout.Service) string {
	return "gcloud run revisions list --service " + s.CloudRun + at(s)
}

func grantService(s rollout.Service) string {
	return "gcloud run services add-iam-policy-binding " + s.CloudRun + at(s) + " --member=serviceAccount:ACCOUNT --role=roles/run.developer"
}

func grantJob(s rollout.Service, job string) string {
	return "gcloud run jobs add-iam-policy-binding " + job + at(s) + " --member=serviceAccount:ACCOUNT --role=roles/run.developer"
}

func createJob(s rollout.Service, job string) string {
	return "gcloud run jobs create " + job + at(s) + " --image IMAGE"
}

func grantProject(project, role string) string {
	return fmt.Sprintf("gcloud projects add-iam-policy-binding %s --member=serviceAccount:ACCOUNT --role=%s", project, role)
}

func grantActAs(project, account string) string {
	if account == "" {
		account = "PROJECT_NUMBER-compute@developer.gserviceaccount.com"
	}
	return fmt.Sprintf("gcloud iam service-accounts add-iam-policy-binding %s --project=%s"+
		" --member=serviceAccount:ACCOUNT --role=roles/iam.serviceAccountUser", account, project)
}

// grantPull lets account read the repository of an image: of Artifact Registry, whose hosts begin
// with a location and whose paths begin with project and repository; "" for any other registry.
func grantPull(image, account string) string {
	parts := regexp.MustCompile(`^([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/@:]+)`).FindStringSubmatch(image)
	if parts == nil {
		return ""
	}
	return fmt.Sprintf("gcloud artifacts repositories add-iam-policy-binding %s --location=%s --project=%s"+
		" --member=serviceAccount:%s --role=roles/artifactregistry.reader", parts[3], parts[1], parts[2], account)
}

func grantSecret(project, secret, account string) string {
	return fmt.Sprintf("gcloud secrets add-iam-policy-binding %s --project=%s"+
		" --member=serviceAccount:%s --role=roles/secretmanager.secretAccessor", secret, project, account)
}

func quotaPage(project string) string {
	return "https://console.cloud.google.com/iam-admin/quotas?project=" + project
}

// paragraphs joins what is there, a line each.
func paragraphs(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n")
}
