package gcp

import (
	"slipway/incident"
	"slipway/rollout"
)

func watched(s incident.Service) rollout.Service {
	return rollout.Service{Name: s.Target.Service, CloudRun: s.CloudRun, Project: s.Project, Region: s.Region}
}
