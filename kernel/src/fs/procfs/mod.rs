//! /proc
