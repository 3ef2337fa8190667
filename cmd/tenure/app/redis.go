package app

import (
	"cmp"
	"errors"

	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/redis"
	"github.com/tenurehq/tenure/projections/redis/layout"
)

// startRedis keeps Redis current until Close, if there is one. It does not wait for it.
func (a *App) startRedis() error {
	if a.cfg.RedisURL == "" {
		return nil
	}
	p, err := redis.Start(redis.Config{
		URL: a.cfg.RedisURL, CA: a.cfg.RedisCA, Prefix: cmp.Or(a.cfg.RedisPrefix, layout.DefaultPrefix),
		Partitions: cmp.Or(a.cfg.RedisPartitions, redis.DefaultPartitions),
		Log:        a.readLog(),
		Lost: func(err error) bool {
			return errors.Is(err, engine.ErrShorterLog) || errors.Is(err, engine.ErrOtherLog)
		},
		State: a.Engine.State, SinceContact: a.Engine.SinceContact, Logger: a.cfg.Logger,
	})
	if err != nil {
		return err
	}
	a.ReadModels.Redis = p
	a.closers = append(a.closers, func() error { p.Close(); return nil })
	return nil
}
