export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "api_keys": {
        Row: {
          "created_at": string;
          "expires_at": string | null;
          "id": string;
          "key_hash": string;
          "key_hint": string;
          "last_used_at": string | null;
          "name": string;
          "project_id": string;
          "revoked_at": string | null;
          "scopes": (Database["public"]["Enums"]["api_key_scope"])[];
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "id"?: string;
          "key_hash": string;
          "key_hint": string;
          "last_used_at"?: string | null;
          "name": string;
          "project_id": string;
          "revoked_at"?: string | null;
          "scopes"?: (Database["public"]["Enums"]["api_key_scope"])[];
        };
        Update: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "id"?: string;
          "key_hash"?: string;
          "key_hint"?: string;
          "last_used_at"?: string | null;
          "name"?: string;
          "project_id"?: string;
          "revoked_at"?: string | null;
          "scopes"?: (Database["public"]["Enums"]["api_key_scope"])[];
        };
        Relationships: [
          {
            foreignKeyName: "api_keys_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "plan_quotas": {
        Row: {
          "counted_from": Database["public"]["Enums"]["quota_anchor"];
          "created_at": string;
          "id": string;
          "period": Database["public"]["Enums"]["period"];
          "plan_id": string;
          "rollover_max_tokens": number | null;
          "rollover_periods": number | null;
          "rollover_since": string | null;
          "token_amount": number;
        };
        ComputedFields: never;
        Insert: {
          "counted_from"?: Database["public"]["Enums"]["quota_anchor"];
          "created_at"?: string;
          "id"?: string;
          "period"?: Database["public"]["Enums"]["period"];
          "plan_id": string;
          "rollover_max_tokens"?: number | null;
          "rollover_periods"?: number | null;
          "rollover_since"?: string | null;
          "token_amount": number;
        };
        Update: {
          "counted_from"?: Database["public"]["Enums"]["quota_anchor"];
          "created_at"?: string;
          "id"?: string;
          "period"?: Database["public"]["Enums"]["period"];
          "plan_id"?: string;
          "rollover_max_tokens"?: number | null;
          "rollover_periods"?: number | null;
          "rollover_since"?: string | null;
          "token_amount"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "plan_quotas_plan_id_fkey";
            columns: ["plan_id"];
            isOneToOne: true;
            referencedRelation: "plans";
            referencedColumns: ["id"];
          },
        ];
      };
      "plan_restrictions": {
        Row: {
          "counter_id": string;
          "created_at": string;
          "duration": string;
          "ends_at": string;
          "id": string;
          "is_rolling": boolean;
          "max_tokens": number;
          "plan_id": string;
          "restriction_config": NonNullable<Json>;
          "restriction_type": Database["public"]["Enums"]["restriction_type"];
          "starts_at": string;
          "tag_ids": (string)[] | null;
        };
        ComputedFields: never;
        Insert: {
          "counter_id"?: string;
          "created_at"?: string;
          "duration"?: string;
          "ends_at"?: string;
          "id"?: string;
          "is_rolling"?: boolean;
          "max_tokens"?: number;
          "plan_id": string;
          "restriction_config": NonNullable<Json>;
          "restriction_type": Database["public"]["Enums"]["restriction_type"];
          "starts_at"?: string;
          "tag_ids"?: (string)[] | null;
        };
        Update: {
          "counter_id"?: string;
          "created_at"?: string;
          "duration"?: string;
          "ends_at"?: string;
          "id"?: string;
          "is_rolling"?: boolean;
          "max_tokens"?: number;
          "plan_id"?: string;
          "restriction_config"?: NonNullable<Json>;
          "restriction_type"?: Database["public"]["Enums"]["restriction_type"];
          "starts_at"?: string;
          "tag_ids"?: (string)[] | null;
        };
        Relationships: [
          {
            foreignKeyName: "plan_restrictions_plan_id_fkey";
            columns: ["plan_id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id"];
          },
        ];
      };
      "plans": {
        Row: {
          "created_at": string;
          "id": string;
          "name": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "project_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "name": string;
          "plan_type"?: Database["public"]["Enums"]["plan_type"];
          "project_id": string;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "name"?: string;
          "plan_type"?: Database["public"]["Enums"]["plan_type"];
          "project_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "plans_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "project_members": {
        Row: {
          "created_at": string;
          "project_id": string;
          "role": Database["public"]["Enums"]["project_role"];
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "project_id": string;
          "role"?: Database["public"]["Enums"]["project_role"];
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "project_id"?: string;
          "role"?: Database["public"]["Enums"]["project_role"];
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "project_members_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "projects": {
        Row: {
          "allow_client_consumption": boolean;
          "created_at": string;
          "default_plan_id": string | null;
          "grace_days": number;
          "id": string;
          "name": string;
          "tamper_evident": boolean;
          "time_zone": string;
          "week_start": Database["public"]["Enums"]["weekday"];
        };
        ComputedFields: never;
        Insert: {
          "allow_client_consumption"?: boolean;
          "created_at"?: string;
          "default_plan_id"?: string | null;
          "grace_days"?: number;
          "id"?: string;
          "name": string;
          "tamper_evident"?: boolean;
          "time_zone"?: string;
          "week_start"?: Database["public"]["Enums"]["weekday"];
        };
        Update: {
          "allow_client_consumption"?: boolean;
          "created_at"?: string;
          "default_plan_id"?: string | null;
          "grace_days"?: number;
          "id"?: string;
          "name"?: string;
          "tamper_evident"?: boolean;
          "time_zone"?: string;
          "week_start"?: Database["public"]["Enums"]["weekday"];
        };
        Relationships: [
          {
            foreignKeyName: "default_plan_belongs_to_project";
            columns: ["default_plan_id", "id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id", "project_id"];
          },
        ];
      };
      "recurring_grants": {
        Row: {
          "created_at": string;
          "ends_at": string | null;
          "every": Database["public"]["Enums"]["period"];
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id": string;
          "metadata": Json | null;
          "occurrences_booked": number;
          "priority": number;
          "request_hash": number | null;
          "request_id": string | null;
          "starts_at": string;
          "tag_ids": (string)[] | null;
          "token_amount": number;
          "user_id": string;
          "valid_for": Database["public"]["Enums"]["period"] | null;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "ends_at"?: string | null;
          "every": Database["public"]["Enums"]["period"];
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "metadata"?: Json | null;
          "occurrences_booked"?: number;
          "priority"?: number;
          "request_hash"?: number | null;
          "request_id"?: string | null;
          "starts_at"?: string;
          "tag_ids"?: (string)[] | null;
          "token_amount": number;
          "user_id": string;
          "valid_for"?: Database["public"]["Enums"]["period"] | null;
        };
        Update: {
          "created_at"?: string;
          "ends_at"?: string | null;
          "every"?: Database["public"]["Enums"]["period"];
          "grant_type"?: Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "metadata"?: Json | null;
          "occurrences_booked"?: number;
          "priority"?: number;
          "request_hash"?: number | null;
          "request_id"?: string | null;
          "starts_at"?: string;
          "tag_ids"?: (string)[] | null;
          "token_amount"?: number;
          "user_id"?: string;
          "valid_for"?: Database["public"]["Enums"]["period"] | null;
        };
        Relationships: [
          {
            foreignKeyName: "recurring_grants_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "tags": {
        Row: {
          "created_at": string;
          "id": string;
          "name": string;
          "project_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "name": string;
          "project_id": string;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "name"?: string;
          "project_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "tags_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "token_holds": {
        Row: {
          "created_at": string;
          "ended_by": number | null;
          "expires_at": string;
          "placed_by": string | null;
          "quota_id": string | null;
          "quota_period_start": string | null;
          "sources": (Database["public"]["CompositeTypes"]["token_source"])[];
          "tag_id": string | null;
          "token_amount": number;
          "transfer_number": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at": string;
          "ended_by"?: number | null;
          "expires_at": string;
          "placed_by"?: string | null;
          "quota_id"?: string | null;
          "quota_period_start"?: string | null;
          "sources": (Database["public"]["CompositeTypes"]["token_source"])[];
          "tag_id"?: string | null;
          "token_amount": number;
          "transfer_number": number;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "ended_by"?: number | null;
          "expires_at"?: string;
          "placed_by"?: string | null;
          "quota_id"?: string | null;
          "quota_period_start"?: string | null;
          "sources"?: (Database["public"]["CompositeTypes"]["token_source"])[];
          "tag_id"?: string | null;
          "token_amount"?: number;
          "transfer_number"?: number;
          "user_id"?: string;
        };
        Relationships: [];
      };
      "token_transfers": {
        Row: {
          "amount": number;
          "api_key_id": string | null;
          "base_quota_used": number;
          "counted_at": string | null;
          "created_at": string;
          "grants_left": number;
          "grants_used": number;
          "hash": string | null;
          "hold_expires_at": string | null;
          "metadata": Json | null;
          "nearest_limit": Json | null;
          "quota_id": string | null;
          "quota_left": number;
          "quota_period_start": string | null;
          "refers_to": number | null;
          "request_hash": number | null;
          "request_id": string | null;
          "tag_id": string | null;
          "tokens_held": number;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "amount": number;
          "api_key_id"?: string | null;
          "base_quota_used"?: number;
          "counted_at"?: string | null;
          "created_at": string;
          "grants_left": number;
          "grants_used"?: number;
          "hash"?: string | null;
          "hold_expires_at"?: string | null;
          "metadata"?: Json | null;
          "nearest_limit"?: Json | null;
          "quota_id"?: string | null;
          "quota_left": number;
          "quota_period_start"?: string | null;
          "refers_to"?: number | null;
          "request_hash"?: number | null;
          "request_id"?: string | null;
          "tag_id"?: string | null;
          "tokens_held": number;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id"?: string | null;
        };
        Update: {
          "amount"?: number;
          "api_key_id"?: string | null;
          "base_quota_used"?: number;
          "counted_at"?: string | null;
          "created_at"?: string;
          "grants_left"?: number;
          "grants_used"?: number;
          "hash"?: string | null;
          "hold_expires_at"?: string | null;
          "metadata"?: Json | null;
          "nearest_limit"?: Json | null;
          "quota_id"?: string | null;
          "quota_left"?: number;
          "quota_period_start"?: string | null;
          "refers_to"?: number | null;
          "request_hash"?: number | null;
          "request_id"?: string | null;
          "tag_id"?: string | null;
          "tokens_held"?: number;
          "transaction_type"?: Database["public"]["Enums"]["transaction_type"];
          "transfer_number"?: number;
          "user_id"?: string;
          "user_token_grants_id"?: string | null;
        };
        Relationships: [];
      };
      "tracked_users": {
        Row: {
          "auth_user_id": string | null;
          "billing_anchor": string;
          "changed_at": string;
          "created_at": string;
          "external_id": string;
          "id": string;
          "next_plan_at": string | null;
          "next_plan_id": string | null;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan_id": string;
          "plan_since": string;
          "project_id": string;
          "quota_open_since": string;
          "quota_open_until": string | null;
          "time_zone": string | null;
        };
        ComputedFields: never;
        Insert: {
          "auth_user_id"?: string | null;
          "billing_anchor"?: string;
          "changed_at"?: string;
          "created_at"?: string;
          "external_id": string;
          "id"?: string;
          "next_plan_at"?: string | null;
          "next_plan_id"?: string | null;
          "payment_status"?: Database["public"]["Enums"]["payment_status"];
          "plan_id": string;
          "plan_since"?: string;
          "project_id": string;
          "quota_open_since"?: string;
          "quota_open_until"?: string | null;
          "time_zone"?: string | null;
        };
        Update: {
          "auth_user_id"?: string | null;
          "billing_anchor"?: string;
          "changed_at"?: string;
          "created_at"?: string;
          "external_id"?: string;
          "id"?: string;
          "next_plan_at"?: string | null;
          "next_plan_id"?: string | null;
          "payment_status"?: Database["public"]["Enums"]["payment_status"];
          "plan_id"?: string;
          "plan_since"?: string;
          "project_id"?: string;
          "quota_open_since"?: string;
          "quota_open_until"?: string | null;
          "time_zone"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "next_plan_belongs_to_project";
            columns: ["next_plan_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id", "project_id"];
          },
          {
            foreignKeyName: "plan_belongs_to_project";
            columns: ["plan_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id", "project_id"];
          },
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_quota_usage": {
        Row: {
          "begun_at": string;
          "cut_from": string | null;
          "is_fixed": boolean;
          "period_end": string;
          "period_start": string;
          "quota_id": string;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "begun_at"?: string;
          "cut_from"?: string | null;
          "is_fixed"?: boolean;
          "period_end": string;
          "period_start": string;
          "quota_id": string;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        Update: {
          "begun_at"?: string;
          "cut_from"?: string | null;
          "is_fixed"?: boolean;
          "period_end"?: string;
          "period_start"?: string;
          "quota_id"?: string;
          "token_amount"?: number;
          "tokens_used"?: number;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "user_quota_usage_quota_id_fkey";
            columns: ["quota_id"];
            isOneToOne: false;
            referencedRelation: "plan_quotas";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "user_quota_usage_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_tags": {
        Row: {
          "tag_id": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "tag_id": string;
          "user_id": string;
        };
        Update: {
          "tag_id"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "user_tags_tag_id_fkey";
            columns: ["tag_id"];
            isOneToOne: false;
            referencedRelation: "tags";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "user_tags_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_token_grants": {
        Row: {
          "cost_basis": number | null;
          "cost_currency": string | null;
          "created_at": string;
          "effective_at": string | null;
          "expires_at": string | null;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id": string;
          "is_spent": boolean;
          "metadata": Json | null;
          "priority": number;
          "recurring_grant_id": string | null;
          "refund_of": number | null;
          "request_id": string | null;
          "tag_ids": (string)[] | null;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
          "voided_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "cost_basis"?: number | null;
          "cost_currency"?: string | null;
          "created_at"?: string;
          "effective_at"?: string | null;
          "expires_at"?: string | null;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "is_spent"?: boolean;
          "metadata"?: Json | null;
          "priority"?: number;
          "recurring_grant_id"?: string | null;
          "refund_of"?: number | null;
          "request_id"?: string | null;
          "tag_ids"?: (string)[] | null;
          "token_amount": number;
          "tokens_used"?: number;
          "user_id": string;
          "voided_at"?: string | null;
        };
        Update: {
          "cost_basis"?: number | null;
          "cost_currency"?: string | null;
          "created_at"?: string;
          "effective_at"?: string | null;
          "expires_at"?: string | null;
          "grant_type"?: Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "is_spent"?: boolean;
          "metadata"?: Json | null;
          "priority"?: number;
          "recurring_grant_id"?: string | null;
          "refund_of"?: number | null;
          "request_id"?: string | null;
          "tag_ids"?: (string)[] | null;
          "token_amount"?: number;
          "tokens_used"?: number;
          "user_id"?: string;
          "voided_at"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "user_token_grants_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_token_grants_consume": {
        Row: {
          "created_at": string;
          "position": number;
          "token_deduction": number;
          "tokens_left": number;
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at": string;
          "position": number;
          "token_deduction": number;
          "tokens_left": number;
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id": string;
        };
        Update: {
          "created_at"?: string;
          "position"?: number;
          "token_deduction"?: number;
          "tokens_left"?: number;
          "transfer_number"?: number;
          "user_id"?: string;
          "user_token_grants_id"?: string;
        };
        Relationships: [];
      };
      "user_usage": {
        Row: {
          "due_at": string;
          "last_hash": string | null;
          "last_transfer_number": number;
          "limits": (Database["public"]["CompositeTypes"]["limit_usage"])[];
          "not_before": string;
          "time_zone": string;
          "user_id": string;
          "week_start": Database["public"]["Enums"]["weekday"];
        };
        ComputedFields: never;
        Insert: {
          "due_at"?: string;
          "last_hash"?: string | null;
          "last_transfer_number"?: number;
          "limits"?: (Database["public"]["CompositeTypes"]["limit_usage"])[];
          "not_before"?: string;
          "time_zone"?: string;
          "user_id": string;
          "week_start"?: Database["public"]["Enums"]["weekday"];
        };
        Update: {
          "due_at"?: string;
          "last_hash"?: string | null;
          "last_transfer_number"?: number;
          "limits"?: (Database["public"]["CompositeTypes"]["limit_usage"])[];
          "not_before"?: string;
          "time_zone"?: string;
          "user_id"?: string;
          "week_start"?: Database["public"]["Enums"]["weekday"];
        };
        Relationships: [
          {
            foreignKeyName: "user_usage_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: true;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_usage_buckets": {
        Row: {
          "api_key_id": string;
          "base_quota_used": number;
          "calls": number;
          "grants_used": number;
          "starts_at": string;
          "tag_id": string;
          "tokens_used": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "api_key_id": string;
          "base_quota_used": number;
          "calls": number;
          "grants_used": number;
          "starts_at": string;
          "tag_id": string;
          "tokens_used": number;
          "user_id": string;
        };
        Update: {
          "api_key_id"?: string;
          "base_quota_used"?: number;
          "calls"?: number;
          "grants_used"?: number;
          "starts_at"?: string;
          "tag_id"?: string;
          "tokens_used"?: number;
          "user_id"?: string;
        };
        Relationships: [];
      };
    };
    Views: {
      "current_balances": {
        Row: {
          "as_of": string | null;
          "grants": Json | null;
          "grants_left": number | null;
          "next_plan": string | null;
          "next_plan_at": string | null;
          "payment_status": Database["public"]["Enums"]["payment_status"] | null;
          "plan": string | null;
          "plan_type": Database["public"]["Enums"]["plan_type"] | null;
          "project_id": string;
          "quota_amount": number | null;
          "quota_held": number | null;
          "quota_left": number | null;
          "quota_open_until": string | null;
          "quota_resets_at": string | null;
          "quota_used": number | null;
          "restrictions": Json | null;
          "time_zone": string | null;
          "tokens_held": number | null;
          "tokens_left": number | null;
          "tokens_settled": number | null;
          "user_id": string | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "open_holds": {
        Row: {
          "created_at": string;
          "expires_at": string;
          "hold_id": string | null;
          "project_id": string;
          "tag": string | null;
          "token_amount": number;
          "user_id": string;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "recent_transfers": {
        Row: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json | null;
          "project_id": string;
          "quota_left": number;
          "refers_to": number | null;
          "request_id": string | null;
          "tag": string | null;
          "tokens_held": number;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
          "user_id": string;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "restriction_status": {
        Row: {
          "duration": string | null;
          "held": number | null;
          "left": number | null;
          "max_tokens": number | null;
          "plan": string | null;
          "project_id": string;
          "resets_at": string | null;
          "tag": string | null;
          "tags": (string)[] | null;
          "used": number | null;
          "user_id": string | null;
          "window": string | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "usage_by_day_and_tag": {
        Row: {
          "calls": number | null;
          "day": string | null;
          "project_id": string;
          "tag": string | null;
          "tokens": number | null;
          "users": number | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
    };
    Functions: {
      "balance_with_api_key": {
        Args: { "p_as_of"?: string; "p_external_user_id": string; "p_key_hash": string };
        Returns: {
          "as_of": string;
          "grants": Json;
          "grants_left": number;
          "next_plan": string;
          "next_plan_at": string;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "quota_amount": number;
          "quota_held": number;
          "quota_left": number;
          "quota_open_until": string;
          "quota_resets_at": string;
          "quota_used": number;
          "restrictions": Json;
          "time_zone": string;
          "tokens_held": number;
          "tokens_left": number;
          "tokens_settled": number;
          "user_id": string;
        }[];
      };
      "batch_with_api_key": {
        Args: { "p_all_or_nothing"?: boolean; "p_items": Json; "p_key_hash": string };
        Returns: Database["public"]["CompositeTypes"]["receipt"][];
        SetofOptions: {
          from: "*";
          to: "receipt";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "change_user": {
        Args: {
          "p_billing_anchor"?: string;
          "p_external_user_id": string;
          "p_payment_status"?: Database["public"]["Enums"]["payment_status"];
          "p_plan"?: string;
          "p_project_id": string;
          "p_quota_open_until"?: string;
          "p_quota_policy"?: Database["public"]["Enums"]["quota_policy"];
          "p_request_id"?: string;
          "p_time_zone"?: string;
          "p_when"?: Database["public"]["Enums"]["change_time"];
        };
        Returns: Database["public"]["CompositeTypes"]["account_receipt"];
        SetofOptions: {
          from: "*";
          to: "account_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "change_user_with_api_key": {
        Args: {
          "p_billing_anchor"?: string;
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_payment_status"?: Database["public"]["Enums"]["payment_status"];
          "p_plan"?: string;
          "p_quota_open_until"?: string;
          "p_quota_policy"?: Database["public"]["Enums"]["quota_policy"];
          "p_request_id"?: string;
          "p_time_zone"?: string;
          "p_when"?: Database["public"]["Enums"]["change_time"];
        };
        Returns: Database["public"]["CompositeTypes"]["account_receipt"];
        SetofOptions: {
          from: "*";
          to: "account_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "check_tokens": {
        Args: {
          "p_external_user_id": string;
          "p_metadata"?: Json;
          "p_mode"?: Database["public"]["Enums"]["consume_mode"];
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["receipt"];
        SetofOptions: {
          from: "*";
          to: "receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "check_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_mode"?: Database["public"]["Enums"]["consume_mode"];
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["receipt"];
        SetofOptions: {
          from: "*";
          to: "receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "consume_batch": {
        Args: { "p_all_or_nothing"?: boolean; "p_items": Json; "p_project_id": string };
        Returns: Database["public"]["CompositeTypes"]["receipt"][];
        SetofOptions: {
          from: "*";
          to: "receipt";
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      "consume_tokens": {
        Args: {
          "p_external_user_id": string;
          "p_metadata"?: Json;
          "p_mode"?: Database["public"]["Enums"]["consume_mode"];
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["receipt"];
        SetofOptions: {
          from: "*";
          to: "receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "consume_tokens_v2": {
        Args: {
          "p_external_user_id": string;
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_tag_id"?: string;
          "p_tokens_consumed": number;
        };
        Returns: {
          "base_quota_used": number;
          "grants_used": number;
          "message": string;
          "success": boolean;
          "tokens_consumed": number;
        }[];
      };
      "consume_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_mode"?: Database["public"]["Enums"]["consume_mode"];
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["receipt"];
        SetofOptions: {
          from: "*";
          to: "receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "create_api_key": {
        Args: {
          "p_expires_at"?: string;
          "p_name": string;
          "p_project_id": string;
          "p_scopes"?: (Database["public"]["Enums"]["api_key_scope"])[];
        };
        Returns: {
          "api_key": string;
          "expires_at": string;
          "id": string;
          "name": string;
          "scopes": (Database["public"]["Enums"]["api_key_scope"])[];
        }[];
      };
      "create_project": {
        Args: { "p_name": string; "p_time_zone"?: string };
        Returns: {
          "allow_client_consumption": boolean;
          "created_at": string;
          "default_plan_id": string | null;
          "grace_days": number;
          "id": string;
          "name": string;
          "tamper_evident": boolean;
          "time_zone": string;
          "week_start": Database["public"]["Enums"]["weekday"];
        };
        SetofOptions: {
          from: "*";
          to: "projects";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "create_recurring_grant": {
        Args: {
          "p_ends_at"?: string;
          "p_every": Database["public"]["Enums"]["period"];
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_metadata"?: Json;
          "p_priority"?: number;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_starts_at"?: string;
          "p_tags"?: (string)[];
          "p_tokens": number;
          "p_valid_for"?: Database["public"]["Enums"]["period"];
        };
        Returns: Database["public"]["CompositeTypes"]["recurring_grant_receipt"];
        SetofOptions: {
          from: "*";
          to: "recurring_grant_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "end_recurring_grant": {
        Args: {
          "p_external_user_id": string;
          "p_project_id": string;
          "p_recurring_grant_id": string;
        };
        Returns: Database["public"]["CompositeTypes"]["recurring_grant_receipt"];
        SetofOptions: {
          from: "*";
          to: "recurring_grant_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "end_recurring_grant_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_recurring_grant_id": string;
        };
        Returns: Database["public"]["CompositeTypes"]["recurring_grant_receipt"];
        SetofOptions: {
          from: "*";
          to: "recurring_grant_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "extend_hold": {
        Args: {
          "p_hold_id": string;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_ttl_seconds"?: number;
        };
        Returns: Database["public"]["CompositeTypes"]["hold_receipt"];
        SetofOptions: {
          from: "*";
          to: "hold_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "extend_with_api_key": {
        Args: {
          "p_hold_id": string;
          "p_key_hash": string;
          "p_request_id"?: string;
          "p_ttl_seconds"?: number;
        };
        Returns: Database["public"]["CompositeTypes"]["hold_receipt"];
        SetofOptions: {
          from: "*";
          to: "hold_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "get_usage": {
        Args: {
          "p_external_user_id"?: string;
          "p_from": string;
          "p_group_by"?: Database["public"]["Enums"]["usage_dimension"];
          "p_project_id": string;
          "p_step"?: Database["public"]["Enums"]["usage_step"];
          "p_tag"?: string;
          "p_to"?: string;
        };
        Returns: {
          "base_quota_used": number;
          "calls": number;
          "ends_at": string;
          "grants_used": number;
          "groups": Json;
          "starts_at": string;
          "tokens_used": number;
        }[];
      };
      "get_user_balance": {
        Args: { "p_as_of"?: string; "p_external_user_id": string; "p_project_id": string };
        Returns: {
          "as_of": string;
          "grants": Json;
          "grants_left": number;
          "next_plan": string;
          "next_plan_at": string;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "quota_amount": number;
          "quota_held": number;
          "quota_left": number;
          "quota_open_until": string;
          "quota_resets_at": string;
          "quota_used": number;
          "restrictions": Json;
          "time_zone": string;
          "tokens_held": number;
          "tokens_left": number;
          "tokens_settled": number;
          "user_id": string;
        }[];
      };
      "get_user_transfers": {
        Args: {
          "p_before"?: number;
          "p_external_user_id": string;
          "p_limit"?: number;
          "p_project_id": string;
        };
        Returns: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grant_id": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json;
          "quota_left": number;
          "refers_to": number;
          "request_id": string;
          "tag": string;
          "tokens_held": number;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
        }[];
      };
      "grant_tokens": {
        Args: {
          "p_cost_basis"?: number;
          "p_cost_currency"?: string;
          "p_effective_at"?: string;
          "p_expires_at"?: string;
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_metadata"?: Json;
          "p_priority"?: number;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tags"?: (string)[];
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["grant_receipt"];
        SetofOptions: {
          from: "*";
          to: "grant_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "grant_with_api_key": {
        Args: {
          "p_cost_basis"?: number;
          "p_cost_currency"?: string;
          "p_effective_at"?: string;
          "p_expires_at"?: string;
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_priority"?: number;
          "p_request_id"?: string;
          "p_tags"?: (string)[];
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["grant_receipt"];
        SetofOptions: {
          from: "*";
          to: "grant_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "hold_tokens": {
        Args: {
          "p_external_user_id": string;
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
          "p_ttl_seconds"?: number;
        };
        Returns: Database["public"]["CompositeTypes"]["hold_receipt"];
        SetofOptions: {
          from: "*";
          to: "hold_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "hold_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
          "p_ttl_seconds"?: number;
        };
        Returns: Database["public"]["CompositeTypes"]["hold_receipt"];
        SetofOptions: {
          from: "*";
          to: "hold_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "link_user": {
        Args: { "p_auth_user_id"?: string; "p_external_user_id": string; "p_project_id": string };
        Returns: {
          "auth_user_id": string;
          "user_id": string;
        }[];
      };
      "link_user_with_api_key": {
        Args: { "p_auth_user_id"?: string; "p_external_user_id": string; "p_key_hash": string };
        Returns: {
          "auth_user_id": string;
          "user_id": string;
        }[];
      };
      "recurring_grant_with_api_key": {
        Args: {
          "p_ends_at"?: string;
          "p_every": Database["public"]["Enums"]["period"];
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_priority"?: number;
          "p_request_id"?: string;
          "p_starts_at"?: string;
          "p_tags"?: (string)[];
          "p_tokens": number;
          "p_valid_for"?: Database["public"]["Enums"]["period"];
        };
        Returns: Database["public"]["CompositeTypes"]["recurring_grant_receipt"];
        SetofOptions: {
          from: "*";
          to: "recurring_grant_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "refund_tokens": {
        Args: {
          "p_external_user_id": string;
          "p_grant_expires_at"?: string;
          "p_metadata"?: Json;
          "p_original_request_id"?: string;
          "p_project_id": string;
          "p_regrant_lapsed"?: boolean;
          "p_request_id"?: string;
          "p_tokens"?: number;
          "p_transfer_number"?: number;
        };
        Returns: Database["public"]["CompositeTypes"]["refund_receipt"];
        SetofOptions: {
          from: "*";
          to: "refund_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "refund_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_grant_expires_at"?: string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_original_request_id"?: string;
          "p_regrant_lapsed"?: boolean;
          "p_request_id"?: string;
          "p_tokens"?: number;
          "p_transfer_number"?: number;
        };
        Returns: Database["public"]["CompositeTypes"]["refund_receipt"];
        SetofOptions: {
          from: "*";
          to: "refund_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "release_hold": {
        Args: { "p_hold_id": string; "p_project_id": string; "p_request_id"?: string };
        Returns: Database["public"]["CompositeTypes"]["hold_receipt"];
        SetofOptions: {
          from: "*";
          to: "hold_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "release_with_api_key": {
        Args: { "p_hold_id": string; "p_key_hash": string; "p_request_id"?: string };
        Returns: Database["public"]["CompositeTypes"]["hold_receipt"];
        SetofOptions: {
          from: "*";
          to: "hold_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "revoke_api_key": { Args: { "p_key_id": string }; Returns: string };
      "rotate_api_key": {
        Args: { "p_grace"?: string; "p_key_id": string };
        Returns: {
          "api_key": string;
          "expires_at": string;
          "id": string;
          "name": string;
          "scopes": (Database["public"]["Enums"]["api_key_scope"])[];
        }[];
      };
      "settle_hold": {
        Args: {
          "p_allow_excess"?: boolean;
          "p_hold_id": string;
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["settlement_receipt"];
        SetofOptions: {
          from: "*";
          to: "settlement_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "settle_with_api_key": {
        Args: {
          "p_allow_excess"?: boolean;
          "p_hold_id": string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_request_id"?: string;
          "p_tokens": number;
        };
        Returns: Database["public"]["CompositeTypes"]["settlement_receipt"];
        SetofOptions: {
          from: "*";
          to: "settlement_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "transfers_with_api_key": {
        Args: {
          "p_before"?: number;
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_limit"?: number;
        };
        Returns: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grant_id": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json;
          "quota_left": number;
          "refers_to": number;
          "request_id": string;
          "tag": string;
          "tokens_held": number;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
        }[];
      };
      "usage_with_api_key": {
        Args: {
          "p_external_user_id"?: string;
          "p_from": string;
          "p_group_by"?: Database["public"]["Enums"]["usage_dimension"];
          "p_key_hash": string;
          "p_step"?: Database["public"]["Enums"]["usage_step"];
          "p_tag"?: string;
          "p_to"?: string;
        };
        Returns: {
          "base_quota_used": number;
          "calls": number;
          "ends_at": string;
          "grants_used": number;
          "groups": Json;
          "starts_at": string;
          "tokens_used": number;
        }[];
      };
      "verify_ledger": {
        Args: { "p_project_id"?: string };
        Returns: {
          "disagreement": string;
          "expected": string;
          "found": string;
          "row_key": string;
          "user_id": string;
        }[];
      };
      "void_grant": {
        Args: {
          "p_external_user_id": string;
          "p_grant_id": string;
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_request_id"?: string;
        };
        Returns: Database["public"]["CompositeTypes"]["void_receipt"];
        SetofOptions: {
          from: "*";
          to: "void_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "void_grant_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_grant_id": string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_request_id"?: string;
        };
        Returns: Database["public"]["CompositeTypes"]["void_receipt"];
        SetofOptions: {
          from: "*";
          to: "void_receipt";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
    };
    Enums: {
      "api_key_scope": "consume" | "read" | "grant" | "link" | "refund" | "manage";
      "change_time": "now" | "period_end";
      "consume_mode": "all_or_nothing" | "up_to";
      "grant_type": "trial" | "bonus" | "purchase" | "refund" | "adjustment" | "rollover";
      "hold_state": "open" | "settled" | "released" | "expired";
      "payment_status": "trial" | "active" | "past_due" | "paused" | "canceled";
      "period":
        | "1 hour"
        | "1 day"
        | "1 week"
        | "2 weeks"
        | "1 month"
        | "3 months"
        | "6 months"
        | "1 year";
      "plan_type": "subscription" | "pay_as_you_go";
      "project_role": "viewer" | "admin" | "owner";
      "quota_anchor": "billing_anchor" | "calendar";
      "quota_policy": "keep" | "prorate" | "reset";
      "restriction_type": "tag" | "total";
      "transaction_type":
        | "grant"
        | "consumption"
        | "hold"
        | "extension"
        | "release"
        | "refund"
        | "void"
        | "account_change";
      "usage_dimension": "tag" | "user" | "key" | "source";
      "usage_step": "hour" | "day" | "week" | "month";
      "weekday": "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday";
    };
    CompositeTypes: {
      "account_receipt": {
        "user_id": string | null;
        "plan": string | null;
        "next_plan": string | null;
        "next_plan_at": string | null;
        "payment_status": Database["public"]["Enums"]["payment_status"] | null;
        "quota_open_until": string | null;
        "billing_anchor": string | null;
        "time_zone": string | null;
        "quota_left": number | null;
        "grants_left": number | null;
        "transfer_number": number | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "grant_receipt": {
        "grant_id": string | null;
        "user_id": string | null;
        "tokens": number | null;
        "grant_type": Database["public"]["Enums"]["grant_type"] | null;
        "effective_at": string | null;
        "expires_at": string | null;
        "priority": number | null;
        "tags": (string)[] | null;
        "cost_basis": number | null;
        "cost_currency": string | null;
        "metadata": Json | null;
        "grants_left": number | null;
        "transfer_number": number | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "hold_receipt": {
        "success": boolean | null;
        "hold_id": string | null;
        "state": Database["public"]["Enums"]["hold_state"] | null;
        "tokens_held": number | null;
        "tag": string | null;
        "expires_at": string | null;
        "message": string | null;
        "reason": string | null;
        "hint": string | null;
        "shortfall": number | null;
        "retry_at": string | null;
        "user_id": string | null;
        "quota_left": number | null;
        "grants_left": number | null;
        "sources": Json | null;
        "nearest_limit": Json | null;
        "transfer_number": number | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "limit_usage": {
        "counter_id": string | null;
        "starts_at": string | null;
        "ends_at": string | null;
        "tokens_used": number | null;
      };
      "receipt": {
        "success": boolean | null;
        "tokens_requested": number | null;
        "tokens_consumed": number | null;
        "base_quota_used": number | null;
        "grants_used": number | null;
        "message": string | null;
        "reason": string | null;
        "hint": string | null;
        "shortfall": number | null;
        "retry_at": string | null;
        "user_id": string | null;
        "quota_left": number | null;
        "grants_left": number | null;
        "tokens_held": number | null;
        "sources": Json | null;
        "nearest_limit": Json | null;
        "transfer_number": number | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "recurring_grant_receipt": {
        "recurring_grant_id": string | null;
        "user_id": string | null;
        "tokens": number | null;
        "grant_type": Database["public"]["Enums"]["grant_type"] | null;
        "every": Database["public"]["Enums"]["period"] | null;
        "starts_at": string | null;
        "ends_at": string | null;
        "valid_for": Database["public"]["Enums"]["period"] | null;
        "priority": number | null;
        "tags": (string)[] | null;
        "metadata": Json | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "refund_receipt": {
        "transfer_number": number | null;
        "refunded_transfer_number": number | null;
        "tokens_refunded": number | null;
        "base_quota_restored": number | null;
        "grants_restored": number | null;
        "tokens_lapsed": number | null;
        "tokens_regranted": number | null;
        "grant_id": string | null;
        "refundable_left": number | null;
        "message": string | null;
        "user_id": string | null;
        "quota_left": number | null;
        "grants_left": number | null;
        "tokens_held": number | null;
        "sources": Json | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "settlement_receipt": {
        "success": boolean | null;
        "hold_id": string | null;
        "tokens_consumed": number | null;
        "tokens_returned": number | null;
        "excess_consumed": number | null;
        "base_quota_used": number | null;
        "grants_used": number | null;
        "message": string | null;
        "reason": string | null;
        "hint": string | null;
        "shortfall": number | null;
        "retry_at": string | null;
        "user_id": string | null;
        "quota_left": number | null;
        "grants_left": number | null;
        "tokens_held": number | null;
        "sources": Json | null;
        "nearest_limit": Json | null;
        "transfer_number": number | null;
        "excess_transfer_number": number | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
      "token_source": {
        "grant_id": string | null;
        "tokens": number | null;
        "tokens_left": number | null;
      };
      "void_receipt": {
        "grant_id": string | null;
        "user_id": string | null;
        "tokens_voided": number | null;
        "tokens_held": number | null;
        "message": string | null;
        "quota_left": number | null;
        "grants_left": number | null;
        "transfer_number": number | null;
        "request_id": string | null;
        "replayed": boolean | null;
        "created_at": string | null;
      };
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Insert: infer I;
    } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Update: infer U;
    } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][
    CompositeTypeName
  ]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {
      "api_key_scope": ["consume", "read", "grant", "link", "refund", "manage"],
      "change_time": ["now", "period_end"],
      "consume_mode": ["all_or_nothing", "up_to"],
      "grant_type": ["trial", "bonus", "purchase", "refund", "adjustment", "rollover"],
      "hold_state": ["open", "settled", "released", "expired"],
      "payment_status": ["trial", "active", "past_due", "paused", "canceled"],
      "period": [
        "1 hour",
        "1 day",
        "1 week",
        "2 weeks",
        "1 month",
        "3 months",
        "6 months",
        "1 year",
      ],
      "plan_type": ["subscription", "pay_as_you_go"],
      "project_role": ["viewer", "admin", "owner"],
      "quota_anchor": ["billing_anchor", "calendar"],
      "quota_policy": ["keep", "prorate", "reset"],
      "restriction_type": ["tag", "total"],
      "transaction_type": [
        "grant",
        "consumption",
        "hold",
        "extension",
        "release",
        "refund",
        "void",
        "account_change",
      ],
      "usage_dimension": ["tag", "user", "key", "source"],
      "usage_step": ["hour", "day", "week", "month"],
      "weekday": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    },
  },
} as const;
