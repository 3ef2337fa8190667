package domain

import "strings"

// Tenure's own permissions as data: level, weakest role, names. Their order is of no consequence, nothing stored refers to it.
var tenures = func() (all []CatalogEntry) {
	for _, row := range []struct {
		level Level
		from  Role
		names string
	}{
		{OrgLevel, Owner, `organization:CRUD_apiKeys organization:delete langfuseCloudBilling:CRUD`},
		{OrgLevel, Admin, `projects:create projects:transfer_org organization:update organizationMembers:CUD auditLogs:read`},
		{OrgLevel, RoleMember, `organizationMembers:read`},
		{ProjectLevel, Owner, `project:delete`},
		{ProjectLevel, Admin, `projectMembers:CUD apiKeys:CUD traces:delete annotationQueueAssignments:CUD project:update
			integrations:CRUD promptProtectedLabels:CUD models:CUD llmApiKeys:create llmApiKeys:update llmApiKeys:delete
			auditLogs:read automations:CUD`},
		{ProjectLevel, RoleMember, `projectMembers:read apiKeys:read objects:publish objects:bookmark objects:tag scores:CUD
			scoreConfigs:CUD annotationQueues:CUD annotationQueueAssignments:read datasets:CUD prompts:CUD dashboards:CUD
			batchExports:create batchExports:read evalTemplate:CUD evalJob:CUD evalDefaultModel:CUD llmSchemas:CUD
			llmTools:CUD playground:execute comments:CUD promptExperiments:CUD TableViewPresets:CUD alerts:CUD`},
		{ProjectLevel, Viewer, `project:read scoreConfigs:read annotationQueues:read datasets:read prompts:read
			dashboards:read evalTemplate:read evalJob:read evalJobExecution:read evalDefaultModel:read llmApiKeys:read
			llmSchemas:read llmTools:read comments:read promptExperiments:read TableViewPresets:read automations:read
			alerts:read`},
	} {
		for _, name := range strings.Fields(row.names) {
			all = append(all, CatalogEntry{Level: row.level, Name: name, From: row.from})
		}
	}
	return all
}()

// organizationMembersCUD is asked beside a method's rule where an invitation reaches further than a project.
var organizationMembersCUD = ParsePermission(OrgLevel, "organizationMembers:CUD")

// transferOrg is what both sides of a transfer need.
var transferOrg = ParsePermission(OrgLevel, "projects:transfer_org")
