package main

func checks(s sizes) []row  { return nil }
func growth(s sizes) []row  { return nil }
func durable(s sizes) []row { return nil }
func api(s sizes) []row     { return nil }
func readers(s sizes) []row { return nil }
func replay(s sizes) []row  { return nil }
func cluster(s sizes) []row { return nil }
