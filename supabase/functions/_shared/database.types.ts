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
          "created_at": string;
          "id": string;
          "period": Database["public"]["Enums"]["quota_period"];
          "plan_id": string;
          "token_amount": number;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "period"?: Database["public"]["Enums"]["quota_period"];
          "plan_id": string;
          "token_amount": number;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "period"?: Database["public"]["Enums"]["quota_period"];
          "plan_id"?: string;
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
          "created_at": string;
          "duration": Database["public"]["Enums"]["restriction_duration"];
          "id": string;
          "max_tokens": number;
          "plan_id": string;
          "restriction_config": NonNullable<Json>;
          "restriction_type": Database["public"]["Enums"]["restriction_type"];
          "tag_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "duration"?: Database["public"]["Enums"]["restriction_duration"];
          "id"?: string;
          "max_tokens"?: number;
          "plan_id": string;
          "restriction_config": NonNullable<Json>;
          "restriction_type": Database["public"]["Enums"]["restriction_type"];
          "tag_id"?: string | null;
        };
        Update: {
          "created_at"?: string;
          "duration"?: Database["public"]["Enums"]["restriction_duration"];
          "id"?: string;
          "max_tokens"?: number;
          "plan_id"?: string;
          "restriction_config"?: NonNullable<Json>;
          "restriction_type"?: Database["public"]["Enums"]["restriction_type"];
          "tag_id"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "plan_restrictions_plan_id_fkey";
            columns: ["plan_id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "plan_restrictions_tag_id_fkey";
            columns: ["tag_id"];
            isOneToOne: false;
            referencedRelation: "tags";
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
          "id": string;
          "name": string;
          "time_zone": string;
        };
        ComputedFields: never;
        Insert: {
          "allow_client_consumption"?: boolean;
          "created_at"?: string;
          "default_plan_id"?: string | null;
          "id"?: string;
          "name": string;
          "time_zone"?: string;
        };
        Update: {
          "allow_client_consumption"?: boolean;
          "created_at"?: string;
          "default_plan_id"?: string | null;
          "id"?: string;
          "name"?: string;
          "time_zone"?: string;
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
          "base_quota_used": number;
          "counted_at": string | null;
          "created_at": string;
          "grants_left": number;
          "grants_used": number;
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
          "base_quota_used"?: number;
          "counted_at"?: string | null;
          "created_at": string;
          "grants_left": number;
          "grants_used"?: number;
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
          "base_quota_used"?: number;
          "counted_at"?: string | null;
          "created_at"?: string;
          "grants_left"?: number;
          "grants_used"?: number;
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
          "created_at": string;
          "external_id": string;
          "id": string;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan_id": string;
          "project_id": string;
        };
        ComputedFields: never;
        Insert: {
          "auth_user_id"?: string | null;
          "billing_anchor"?: string;
          "created_at"?: string;
          "external_id": string;
          "id"?: string;
          "payment_status"?: Database["public"]["Enums"]["payment_status"];
          "plan_id": string;
          "project_id": string;
        };
        Update: {
          "auth_user_id"?: string | null;
          "billing_anchor"?: string;
          "created_at"?: string;
          "external_id"?: string;
          "id"?: string;
          "payment_status"?: Database["public"]["Enums"]["payment_status"];
          "plan_id"?: string;
          "project_id"?: string;
        };
        Relationships: [
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
          "period_end": string;
          "period_start": string;
          "quota_id": string;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "period_end": string;
          "period_start": string;
          "quota_id": string;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        Update: {
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
      "user_tag_usage": {
        Row: {
          "day_start": string;
          "day_used": number;
          "hour_start": string;
          "hour_used": number;
          "month_start": string;
          "month_used": number;
          "tag_id": string;
          "time_zone": string;
          "user_id": string;
          "week_start": string;
          "week_used": number;
        };
        ComputedFields: never;
        Insert: {
          "day_start": string;
          "day_used": number;
          "hour_start": string;
          "hour_used": number;
          "month_start": string;
          "month_used": number;
          "tag_id": string;
          "time_zone": string;
          "user_id": string;
          "week_start": string;
          "week_used": number;
        };
        Update: {
          "day_start"?: string;
          "day_used"?: number;
          "hour_start"?: string;
          "hour_used"?: number;
          "month_start"?: string;
          "month_used"?: number;
          "tag_id"?: string;
          "time_zone"?: string;
          "user_id"?: string;
          "week_start"?: string;
          "week_used"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "user_tag_usage_tag_id_fkey";
            columns: ["tag_id"];
            isOneToOne: false;
            referencedRelation: "tags";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "user_tag_usage_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_token_grants": {
        Row: {
          "created_at": string;
          "expires_at": string | null;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id": string;
          "is_spent": boolean;
          "metadata": Json | null;
          "refund_of": number | null;
          "request_id": string | null;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "is_spent"?: boolean;
          "metadata"?: Json | null;
          "refund_of"?: number | null;
          "request_id"?: string | null;
          "token_amount": number;
          "tokens_used"?: number;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "grant_type"?: Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "is_spent"?: boolean;
          "metadata"?: Json | null;
          "refund_of"?: number | null;
          "request_id"?: string | null;
          "token_amount"?: number;
          "tokens_used"?: number;
          "user_id"?: string;
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
          "day_end": string;
          "day_start": string;
          "day_used": number;
          "hour_end": string;
          "hour_start": string;
          "hour_used": number;
          "last_transfer_at": string;
          "last_transfer_number": number;
          "month_end": string;
          "month_start": string;
          "month_used": number;
          "time_zone": string;
          "user_id": string;
          "week_end": string;
          "week_start": string;
          "week_used": number;
        };
        ComputedFields: never;
        Insert: {
          "day_end"?: string;
          "day_start"?: string;
          "day_used"?: number;
          "hour_end"?: string;
          "hour_start"?: string;
          "hour_used"?: number;
          "last_transfer_at"?: string;
          "last_transfer_number"?: number;
          "month_end"?: string;
          "month_start"?: string;
          "month_used"?: number;
          "time_zone"?: string;
          "user_id": string;
          "week_end"?: string;
          "week_start"?: string;
          "week_used"?: number;
        };
        Update: {
          "day_end"?: string;
          "day_start"?: string;
          "day_used"?: number;
          "hour_end"?: string;
          "hour_start"?: string;
          "hour_used"?: number;
          "last_transfer_at"?: string;
          "last_transfer_number"?: number;
          "month_end"?: string;
          "month_start"?: string;
          "month_used"?: number;
          "time_zone"?: string;
          "user_id"?: string;
          "week_end"?: string;
          "week_start"?: string;
          "week_used"?: number;
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
    };
    Views: {
      "current_balances": {
        Row: {
          "as_of": string | null;
          "grants_left": number | null;
          "payment_status": Database["public"]["Enums"]["payment_status"] | null;
          "plan": string | null;
          "plan_type": Database["public"]["Enums"]["plan_type"] | null;
          "project_id": string;
          "quota_amount": number | null;
          "quota_held": number | null;
          "quota_left": number | null;
          "quota_resets_at": string | null;
          "quota_used": number | null;
          "restrictions": Json | null;
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
          "used": number | null;
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
        Args: { "p_external_user_id": string; "p_key_hash": string };
        Returns: {
          "as_of": string;
          "grants_left": number;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "quota_amount": number;
          "quota_held": number;
          "quota_left": number;
          "quota_resets_at": string;
          "quota_used": number;
          "restrictions": Json;
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
          "id": string;
          "name": string;
          "time_zone": string;
        };
        SetofOptions: {
          from: "*";
          to: "projects";
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
      "get_user_balance": {
        Args: { "p_external_user_id": string; "p_project_id": string };
        Returns: {
          "as_of": string;
          "grants_left": number;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "quota_amount": number;
          "quota_held": number;
          "quota_left": number;
          "quota_resets_at": string;
          "quota_used": number;
          "restrictions": Json;
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
          "p_expires_at"?: string;
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tokens": number;
        };
        Returns: {
          "created_at": string;
          "expires_at": string;
          "grant_id": string;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "grants_left": number;
          "metadata": Json;
          "replayed": boolean;
          "request_id": string;
          "tokens": number;
          "transfer_number": number;
          "user_id": string;
        }[];
      };
      "grant_with_api_key": {
        Args: {
          "p_expires_at"?: string;
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_request_id"?: string;
          "p_tokens": number;
        };
        Returns: {
          "created_at": string;
          "expires_at": string;
          "grant_id": string;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "grants_left": number;
          "metadata": Json;
          "replayed": boolean;
          "request_id": string;
          "tokens": number;
          "transfer_number": number;
          "user_id": string;
        }[];
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
      "verify_ledger": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "disagreement": string;
          "expected": string;
          "found": string;
          "row_key": string;
          "user_id": string;
        }[];
      };
    };
    Enums: {
      "api_key_scope": "consume" | "read" | "grant" | "link" | "refund";
      "consume_mode": "all_or_nothing" | "up_to";
      "grant_type": "trial" | "bonus" | "purchase" | "refund" | "adjustment";
      "hold_state": "open" | "settled" | "released" | "expired";
      "payment_status": "active" | "past_due" | "canceled";
      "plan_type": "subscription" | "pay_as_you_go";
      "project_role": "viewer" | "admin" | "owner";
      "quota_period": "1 day" | "1 week" | "1 month" | "1 year";
      "restriction_duration": "1 hour" | "1 day" | "1 week" | "1 month";
      "restriction_type": "tag" | "total";
      "transaction_type": "grant" | "consumption" | "hold" | "extension" | "release" | "refund";
    };
    CompositeTypes: {
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
      "api_key_scope": ["consume", "read", "grant", "link", "refund"],
      "consume_mode": ["all_or_nothing", "up_to"],
      "grant_type": ["trial", "bonus", "purchase", "refund", "adjustment"],
      "hold_state": ["open", "settled", "released", "expired"],
      "payment_status": ["active", "past_due", "canceled"],
      "plan_type": ["subscription", "pay_as_you_go"],
      "project_role": ["viewer", "admin", "owner"],
      "quota_period": ["1 day", "1 week", "1 month", "1 year"],
      "restriction_duration": ["1 hour", "1 day", "1 week", "1 month"],
      "restriction_type": ["tag", "total"],
      "transaction_type": ["grant", "consumption", "hold", "extension", "release", "refund"],
    },
  },
} as const;
