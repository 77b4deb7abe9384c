package main

import (
	"context"

	"github.com/google/uuid"

	"app-server/internal/skills"
	"app-server/protocol"
	"app-server/rpc"
	"app-server/session"
)

// Lanes: requests of one lane take effect in the order in which they came.
const (
	laneAccount = "account"
	// laneConfig holds what reads or writes config.toml, so that a parent reads
	// what it wrote.
	laneConfig = "config"
)

// laneThread is the lane of a thread, however its id is written.
func laneThread(id string) string {
	if usual, err := uuid.Parse(id); err == nil {
		id = usual.String()
	}
	return "thread/" + id
}

// methods is the table of what is served. A method, its lane, its handler.
func (s *server) methods() *rpc.Mux {
	m := rpc.NewMux(rpc.Hooks{
		Gate: s.parent.gate, Decode: protocol.Decode, Check: s.parent.check,
		Error: s.wireError, Unknown: s.parent.unknownMethod,
	})
	rpc.HandleInline(m, protocol.MethodInitialize, s.parent.initialize)
	rpc.HandleNotification(m, protocol.MethodInitialized, func(context.Context, *protocol.NoParams) {})

	rpc.HandleSlow(m, protocol.MethodAccountLoginStart, rpc.Fixed[protocol.LoginAccountParams](laneAccount), s.accounts.Login)
	rpc.HandleThen(m, protocol.MethodAccountLoginCancel, rpc.Fixed[protocol.CancelLoginAccountParams](laneAccount), s.accounts.CancelLogin)
	rpc.HandleThen(m, protocol.MethodAccountLogout, rpc.Fixed[protocol.NoParams](laneAccount), s.accounts.Logout)
	rpc.HandleSlow(m, protocol.MethodAccountRead, rpc.Fixed[protocol.GetAccountParams](laneAccount), s.accounts.Read)
	rpc.HandleSlow(m, protocol.MethodGetAuthStatus, rpc.Fixed[protocol.GetAuthStatusParams](laneAccount), s.accounts.AuthStatus)
	rpc.Handle(m, protocol.MethodAccountRateLimitsRead, nil, s.rateLimits)
	rpc.Handle(m, protocol.MethodAccountSendAddCreditsNudgeEmail, nil, s.nudge)

	rpc.Handle(m, protocol.MethodModelList, rpc.Fixed[protocol.ModelListParams](laneConfig), s.models)
	rpc.Handle(m, protocol.MethodConfigRead, rpc.Fixed[protocol.ConfigReadParams](laneConfig), s.settings.Read)
	rpc.Handle(m, protocol.MethodConfigValueWrite, rpc.Fixed[protocol.ConfigValueWriteParams](laneConfig), s.settings.WriteValue)
	rpc.Handle(m, protocol.MethodConfigBatchWrite, rpc.Fixed[protocol.ConfigBatchWriteParams](laneConfig), s.settings.WriteBatch)
	rpc.Handle(m, protocol.MethodConfigRequirementsRead, nil, s.settings.Requirements)
	rpc.Handle(m, protocol.MethodMcpServerStatusList, rpc.Fixed[protocol.ListMCPServerStatusParams](laneConfig), s.mcpServers)
	rpc.HandleSlow(m, protocol.MethodSkillsList, rpc.Fixed[protocol.SkillsListParams](laneConfig), s.listSkills)
	rpc.Handle(m, protocol.MethodSkillsConfigWrite, rpc.Fixed[protocol.SkillsConfigWriteParams](laneConfig), s.settings.WriteSkill)
	rpc.Handle(m, protocol.MethodCollaborationModeList, nil, collaborationModes)
	rpc.Handle(m, protocol.MethodExperimentalFeatureList, rpc.Fixed[protocol.ExperimentalFeatureListParams](laneConfig), s.features)
	rpc.Handle(m, protocol.MethodGitDiffToRemote, func(p *protocol.GitDiffToRemoteParams) string { return "git/" + p.Cwd }, s.gitDiff)

	rpc.HandleSlow(m, protocol.MethodThreadStart, rpc.Fixed[protocol.ThreadStartParams](laneConfig), s.startThread)
	rpc.HandleThen(m, protocol.MethodThreadResume, func(p *protocol.ThreadResumeParams) string { return laneThread(p.ThreadID) }, s.resumeThread)
	rpc.HandleThen(m, protocol.MethodThreadFork, func(p *protocol.ThreadForkParams) string { return laneThread(p.ThreadID) }, s.forkThread)
	rpc.HandleThen(m, protocol.MethodThreadRollback, func(p *protocol.ThreadRollbackParams) string { return laneThread(p.ThreadID) }, s.threads.RollbackThread)
	rpc.Handle(m, protocol.MethodThreadTurnsList, func(p *protocol.ThreadTurnsListParams) string { return laneThread(p.ThreadID) }, s.threads.ListTurns)
	rpc.HandleThen(m, protocol.MethodThreadArchive, func(p *protocol.ThreadArchiveParams) string { return laneThread(p.ThreadID) }, s.threads.ArchiveThread)
	rpc.HandleThen(m, protocol.MethodThreadUnarchive, func(p *protocol.ThreadUnarchiveParams) string { return laneThread(p.ThreadID) }, s.threads.UnarchiveThread)
	rpc.HandleThen(m, protocol.MethodThreadNameSet, func(p *protocol.ThreadSetNameParams) string { return laneThread(p.ThreadID) }, s.threads.NameThread)
	rpc.Handle(m, protocol.MethodThreadMetadataUpdate, func(p *protocol.ThreadMetadataUpdateParams) string { return laneThread(p.ThreadID) }, s.threads.UpdateMetadata)
	rpc.Handle(m, protocol.MethodThreadUnsubscribe, func(p *protocol.ThreadUnsubscribeParams) string { return laneThread(p.ThreadID) }, s.threads.Unsubscribe)
	rpc.Handle(m, protocol.MethodThreadInjectItems, func(p *protocol.ThreadInjectItemsParams) string { return laneThread(p.ThreadID) }, s.threads.InjectItems)
	rpc.Handle(m, protocol.MethodGetConversationSummary, nil, s.threads.Summary)
	rpc.Handle(m, protocol.MethodThreadList, nil, s.threads.ListThreads)
	rpc.Handle(m, protocol.MethodThreadLoadedList, nil, s.threads.LoadedThreads)
	rpc.Handle(m, protocol.MethodThreadRead, func(p *protocol.ThreadReadParams) string { return laneThread(p.ThreadID) }, s.threads.ReadThread)
	rpc.HandleThen(m, protocol.MethodTurnStart, func(p *protocol.TurnStartParams) string { return laneThread(p.ThreadID) }, s.threads.StartTurn)
	rpc.HandleThen(m, protocol.MethodTurnSteer, func(p *protocol.TurnSteerParams) string { return laneThread(p.ThreadID) }, s.threads.SteerTurn)
	rpc.HandleThen(m, protocol.MethodThreadCompactStart, func(p *protocol.ThreadCompactStartParams) string { return laneThread(p.ThreadID) }, s.threads.CompactThread)
	rpc.HandleThen(m, protocol.MethodThreadShellCommand, func(p *protocol.ThreadShellCommandParams) string { return laneThread(p.ThreadID) }, s.threads.ShellCommand)
	rpc.HandleThen(m, protocol.MethodReviewStart, func(p *protocol.ReviewStartParams) string { return laneThread(p.ThreadID) }, s.threads.StartReview)
	rpc.HandleThen(m, protocol.MethodThreadBackgroundTerminalsClean, func(p *protocol.ThreadBackgroundTerminalsCleanParams) string { return laneThread(p.ThreadID) }, s.threads.CleanTerminals)
	rpc.HandleThen(m, protocol.MethodTurnInterrupt, func(p *protocol.TurnInterruptParams) string { return laneThread(p.ThreadID) }, s.threads.InterruptTurn)

	// What is told of a new thread comes before whatever the parent does with it.
	for _, method := range []string{protocol.MethodThreadStart, protocol.MethodThreadResume, protocol.MethodThreadFork} {
		rpc.Opens(m, method, func(r *protocol.ThreadStartResponse) string { return laneThread(r.Thread.ID) })
	}
	rpc.Opens(m, protocol.MethodReviewStart, func(r *protocol.ReviewStartResponse) string { return laneThread(r.ReviewThreadID) })
	return m
}

// listSkills handles skills/list. Which settings hold depends on the order of
// requests; to look through folders may take a while.
func (s *server) listSkills(_ context.Context, p *protocol.SkillsListParams) (r protocol.SkillsListResponse, then rpc.Then, rest rpc.Rest[protocol.SkillsListResponse], err error) {
	cfg := s.settings.Current()
	return r, nil, func(ctx context.Context) (protocol.SkillsListResponse, rpc.Then, error) {
		r, err := s.skills.List(ctx, p, func(cwd string) skills.Settings { return skillSettings(cfg.In(cwd)) })
		return r, nil, err
	}, nil
}

// startThread, resumeThread and forkThread handle what begins a thread, with the
// settings as they are now: a parent may have written them, or the user in an editor.
// Which ones a new thread gets depends on the order of requests. The rest does not: it
// waits for git, which requests about settings must not do.
func (s *server) startThread(_ context.Context, p *protocol.ThreadStartParams) (r protocol.ThreadStartResponse, then rpc.Then, rest rpc.Rest[protocol.ThreadStartResponse], err error) {
	cfg := s.settings.Current()
	return r, nil, func(ctx context.Context) (protocol.ThreadStartResponse, rpc.Then, error) {
		r, then, err := s.threads.StartThread(ctx, cfg, p)
		return s.begun(ctx, r, then, err)
	}, nil
}

func (s *server) resumeThread(ctx context.Context, p *protocol.ThreadResumeParams) (protocol.ThreadStartResponse, rpc.Then, error) {
	r, then, err := s.threads.ResumeThread(ctx, p)
	return s.begun(ctx, r, then, err)
}

func (s *server) forkThread(ctx context.Context, p *protocol.ThreadForkParams) (protocol.ThreadStartResponse, rpc.Then, error) {
	r, then, err := s.threads.ForkThread(ctx, p)
	return s.begun(ctx, r, then, err)
}

// begun tells what is wrong with the settings of a thread that has begun, after all
// else that follows the response.
func (s *server) begun(ctx context.Context, r protocol.ThreadStartResponse, then rpc.Then, err error) (protocol.ThreadStartResponse, rpc.Then, error) {
	if err != nil {
		return r, nil, err
	}
	problems := s.threads.Problems(r.Thread.ID)
	return r, func() {
		if then != nil {
			then()
		}
		s.parent.warn(ctx, problems)
	}, nil
}

// rateLimits asks the backend what is used of the plan. Only a ChatGPT sign-in
// has one.
func (s *server) rateLimits(ctx context.Context, _ *protocol.NoParams) (protocol.GetAccountRateLimitsResponse, error) {
	if who := s.accounts.Snapshot(); who == nil || !who.ChatGPT() {
		return protocol.GetAccountRateLimitsResponse{}, protocol.Invalid(protocol.ReasonNotSignedIn, "Rate limits need a ChatGPT sign-in")
	}
	limits, err := s.backend.Usage(ctx, s.cfg.ChatGPTBaseURL)
	if err != nil {
		return protocol.GetAccountRateLimitsResponse{}, err
	}
	r := protocol.GetAccountRateLimitsResponse{RateLimits: session.RateLimitSnapshot(limits), RateLimitsByLimitID: map[string]protocol.RateLimitSnapshot{}}
	byID := func(snapshot protocol.RateLimitSnapshot) {
		if snapshot.LimitID != nil {
			r.RateLimitsByLimitID[*snapshot.LimitID] = snapshot
		}
	}
	for i := range limits.Additional {
		byID(session.RateLimitSnapshot(&limits.Additional[i]))
	}
	byID(r.RateLimits)
	return r, nil
}

// nudge has the backend write to whoever can buy credits.
func (s *server) nudge(ctx context.Context, p *protocol.SendAddCreditsNudgeEmailParams) (protocol.SendAddCreditsNudgeEmailResponse, error) {
	if who := s.accounts.Snapshot(); who == nil || !who.ChatGPT() {
		return protocol.SendAddCreditsNudgeEmailResponse{}, protocol.Invalid(protocol.ReasonNotSignedIn, "Asking for credits needs a ChatGPT sign-in")
	}
	status, err := s.backend.NudgeCredits(ctx, s.cfg.ChatGPTBaseURL, string(p.CreditType))
	return protocol.SendAddCreditsNudgeEmailResponse{Status: protocol.AddCreditsNudgeEmailStatus(status)}, err
}
